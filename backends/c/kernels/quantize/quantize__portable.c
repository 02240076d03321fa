#include "quantize.h"

/* template: begin */
#define QIR_Y uint8_t
/* template: end */

void qir_quantize_f32_T__portable(const qir_requant *q, float scale, const qir_strided *s, const float *QIR_RESTRICT x,
                                  QIR_Y *QIR_RESTRICT y) {
    const int32_t rows = qir_strided_rows(s, 1), size = s->size[7], step = s->stride[7];
    qir_strided_row at = qir_strided_first(s);
    int32_t row, i;
    for (row = 0; row < rows; ++row, y += size) {
        const float *const from = x + at.start;
        for (i = 0; i < size; ++i) {
            y[i] = (QIR_Y)qir_code(from[(ptrdiff_t)i * step] / scale, q);
        }
        qir_strided_next(s, 1, &at);
    }
}
