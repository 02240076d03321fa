#include "normalization.h"

#include <math.h>

/* template: begin */
#define QIR_T float
#define QIR_SQRT sqrtf
#define QIR_FABS fabsf
/* template: end */

/* x is [outer, size, inner]; p is 1 or 2. */
void qir_lpnorm_T__portable(int32_t outer, int32_t size, int32_t inner, int32_t p, const QIR_T *x, QIR_T *y) {
    int32_t o, i, k;
    for (o = 0; o < outer; ++o) {
        for (i = 0; i < inner; ++i) {
            const ptrdiff_t start = (ptrdiff_t)o * size * inner + i;
            QIR_T norm = 0;
            for (k = 0; k < size; ++k) {
                const QIR_T v = x[start + (ptrdiff_t)k * inner];
                norm += p == 1 ? QIR_FABS(v) : v * v;
            }
            norm = p == 1 ? norm : QIR_SQRT(norm);
            for (k = 0; k < size; ++k) {
                const ptrdiff_t at = start + (ptrdiff_t)k * inner;
                y[at] = norm > 0 || norm != norm ? x[at] / norm : 0;
            }
        }
    }
}
