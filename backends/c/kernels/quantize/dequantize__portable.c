#include "quantize.h"

/* template: begin */
#define QIR_X uint8_t
/* template: end */

/* scale and zero_point have `channels` entries, each for one row of y in turn. */
void qir_dequantize_T_f32__portable(const float *QIR_RESTRICT scale, const int32_t *QIR_RESTRICT zero_point,
                                    int32_t channels, const qir_strided *s, const QIR_X *QIR_RESTRICT x,
                                    float *QIR_RESTRICT y) {
    const int32_t rows = qir_strided_rows(s, 1), size = s->size[7], step = s->stride[7];
    qir_strided_row at = qir_strided_first(s);
    int32_t row, i;
    for (row = 0; row < rows; ++row, y += size) {
        const QIR_X *const from = x + at.start;
        const int32_t zero = zero_point[row % channels];
        const float factor = scale[row % channels];
        for (i = 0; i < size; ++i) {
            y[i] = (float)(from[(ptrdiff_t)i * step] - zero) * factor;
        }
        qir_strided_next(s, 1, &at);
    }
}
