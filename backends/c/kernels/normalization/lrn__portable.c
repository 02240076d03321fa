#include "normalization.h"

#include <math.h>

/* template: begin */
#define QIR_T float
#define QIR_POW powf
/* template: end */

/* x is [outer, channels, inner]; a channel c sees channels c - before ... c + after. */
void qir_lrn_T__portable(int32_t outer, int32_t channels, int32_t inner, int32_t before, int32_t after, double alpha,
                         double beta, double bias, const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y) {
    int32_t o, c, i, k;
    for (o = 0; o < outer; ++o, x += (ptrdiff_t)channels * inner) {
        for (c = 0; c < channels; ++c, y += inner) {
            const int32_t first = c > before ? c - before : 0;
            const int32_t last = channels - 1 - c > after ? c + after : channels - 1;
            for (i = 0; i < inner; ++i) {
                const QIR_T size = (QIR_T)(before + after + 1);
                QIR_T sum = 0;
                for (k = first; k <= last; ++k) {
                    sum += x[(ptrdiff_t)k * inner + i] * x[(ptrdiff_t)k * inner + i];
                }
                y[i] = x[(ptrdiff_t)c * inner + i] / QIR_POW((QIR_T)bias + (QIR_T)alpha / size * sum, (QIR_T)beta);
            }
        }
    }
}
