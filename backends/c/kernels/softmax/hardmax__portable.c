#include "softmax.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_hardmax_T__portable(int32_t outer, int32_t size, int32_t inner, const QIR_T *x, QIR_T *y) {
    int32_t o, i, k;
    for (o = 0; o < outer; ++o) {
        for (i = 0; i < inner; ++i) {
            const QIR_T *const from = x + (ptrdiff_t)o * size * inner + i;
            QIR_T *const to = y + (ptrdiff_t)o * size * inner + i;
            QIR_T best = from[0];
            int32_t at = 0;
            for (k = 1; k < size; ++k) {
                if (from[(ptrdiff_t)k * inner] > best) {
                    best = from[(ptrdiff_t)k * inner];
                    at = k;
                }
            }
            for (k = 0; k < size; ++k) {
                to[(ptrdiff_t)k * inner] = k == at ? (QIR_T)1 : (QIR_T)0;
            }
        }
    }
}
