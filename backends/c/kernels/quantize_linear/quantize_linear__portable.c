#include "quantize_linear.h"

/* template: begin */
#define QIR_T uint8_t
/* template: end */

void qir_quantize_linear_T__portable(const qir_quantize_linear_shape *s, const float *QIR_RESTRICT x,
                                     const float *QIR_RESTRICT scale, const QIR_T *QIR_RESTRICT zero,
                                     QIR_T *QIR_RESTRICT y) {
    int32_t o, k, i;
    for (o = 0; o < s->outer; ++o) {
        for (k = 0; k < s->size; ++k) {
            for (i = 0; i < s->inner; ++i) {
                const ptrdiff_t at = (ptrdiff_t)o * s->outer_stride + (ptrdiff_t)(k / s->block) * s->axis_stride +
                                     (ptrdiff_t)i * s->inner_stride;
                const int32_t z = zero[at];
                qir_requant bounds;
                bounds.low = s->low - z;
                bounds.high = s->high - z;
                bounds.zero_point = z;
                *y++ = (QIR_T)qir_code(*x++ / scale[at], &bounds);
            }
        }
    }
}
