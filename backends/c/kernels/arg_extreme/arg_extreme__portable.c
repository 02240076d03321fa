#include "arg_extreme.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_arg_extreme_T__portable(int32_t outer, int32_t size, int32_t inner, int32_t largest, int32_t last,
                                 const QIR_T *QIR_RESTRICT x, int64_t *QIR_RESTRICT y) {
    int32_t o, i, k;
    for (o = 0; o < outer; ++o, x += (ptrdiff_t)size * inner) {
        for (i = 0; i < inner; ++i) {
            QIR_T best = x[i];
            int64_t at = 0;
            for (k = 1; k < size; ++k) {
                const QIR_T v = x[(ptrdiff_t)k * inner + i];
                if ((largest ? v > best : v < best) || (last && v == best)) {
                    best = v;
                    at = k;
                }
            }
            *y++ = at;
        }
    }
}
