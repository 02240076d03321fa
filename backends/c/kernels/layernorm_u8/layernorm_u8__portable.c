#include "layernorm_u8.h"

/* template: begin */
#define QIR_X uint8_t
#define QIR_Y uint8_t
/* template: end */

/* The products of sixteen are kept before they are added to. y may be x: a row is read before it is written. */
void qir_layernorm_u8_T__portable(const qir_layernorm_u8_shape *s, const float *scale, const float *bias,
                                  const QIR_X *x, QIR_Y *y) {
    const int32_t size = s->size;
    int32_t row, first, i;
    for (row = 0; row < s->rows; ++row, x += size, y += size) {
        int64_t squares = 0;
        int32_t sum = 0;
        float factor, products[16];
        for (i = 0; i < size; ++i) {
            sum += x[i];
            squares += x[i] * x[i];
        }
        factor = qir_layernorm_u8_factor(s, sum, squares);
        for (first = 0; first < size; first += 16) {
            const int32_t width = size - first < 16 ? size - first : 16;
            QIR_LANES
            for (i = 0; i < width; ++i) {
                products[i] = (float)(size * x[first + i] - sum) * factor * scale[first + i];
            }
            QIR_KEEP(products);
            QIR_LANES
            for (i = 0; i < width; ++i) {
                y[first + i] = (QIR_Y)qir_code(products[i] + bias[first + i], &s->requant);
            }
        }
    }
}
