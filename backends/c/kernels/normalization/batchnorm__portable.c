#include "normalization.h"

#include <math.h>

/* template: begin */
#define QIR_T float
#define QIR_P float
#define QIR_SQRT sqrtf
/* template: end */

/* x is [outer, channels, inner]. scratch: one QIR_T a channel. */
void qir_batchnorm_T__portable(int32_t outer, int32_t channels, int32_t inner, double epsilon, const QIR_T *x,
                               const QIR_P *scale, const QIR_P *bias, const QIR_P *mean, const QIR_P *var, QIR_T *y,
                               void *scratch) {
    QIR_T *const factor = (QIR_T *)scratch;
    int32_t o, c, i;
    for (c = 0; c < channels; ++c) {
        factor[c] = (QIR_T)scale[c] / QIR_SQRT((QIR_T)var[c] + (QIR_T)epsilon);
    }
    for (o = 0; o < outer; ++o) {
        if (inner == 1) {
            for (c = 0; c < channels; ++c) {
                y[c] = (x[c] - (QIR_T)mean[c]) * factor[c] + (QIR_T)bias[c];
            }
            x += channels;
            y += channels;
        } else {
            for (c = 0; c < channels; ++c, x += inner, y += inner) {
                for (i = 0; i < inner; ++i) {
                    y[i] = (x[i] - (QIR_T)mean[c]) * factor[c] + (QIR_T)bias[c];
                }
            }
        }
    }
}
