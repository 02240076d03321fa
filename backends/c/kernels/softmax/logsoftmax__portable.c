#include "softmax.h"

#include <math.h>

/* template: begin */
#define QIR_T float
#define QIR_EXP expf
#define QIR_LOG logf
/* template: end */

void qir_logsoftmax_T__portable(int32_t outer, int32_t size, int32_t inner, const QIR_T *x, QIR_T *y) {
    int32_t o, i, k;
    for (o = 0; o < outer; ++o) {
        for (i = 0; i < inner; ++i) {
            const QIR_T *const from = x + (ptrdiff_t)o * size * inner + i;
            QIR_T *const to = y + (ptrdiff_t)o * size * inner + i;
            QIR_T best = from[0];
            for (k = 1; k < size; ++k) {
                best = from[(ptrdiff_t)k * inner] > best ? from[(ptrdiff_t)k * inner] : best;
            }
            QIR_T sum = 0;
            for (k = 0; k < size; ++k) {
                sum += QIR_EXP(from[(ptrdiff_t)k * inner] - best);
            }
            sum = QIR_LOG(sum);
            for (k = 0; k < size; ++k) {
                to[(ptrdiff_t)k * inner] = from[(ptrdiff_t)k * inner] - best - sum;
            }
        }
    }
}
