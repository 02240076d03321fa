#include "quantize.h"

/* template: begin */
#define QIR_X uint8_t
/* template: end */

/* scale and zero_point have `channels` entries; each holds for `inner` elements in turn. */
void qir_dequantize_T_f32__portable(const float *QIR_RESTRICT scale, const int32_t *QIR_RESTRICT zero_point,
                                    size_t outer, size_t channels, size_t inner, const QIR_X *QIR_RESTRICT x,
                                    float *QIR_RESTRICT y) {
    size_t o, c, i;
    for (o = 0; o < outer; ++o) {
        for (c = 0; c < channels; ++c) {
            for (i = 0; i < inner; ++i) {
                *y++ = (float)((int32_t)*x++ - zero_point[c]) * scale[c];
            }
        }
    }
}
