#include "gemm_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
/* template: end */

/* Weights: [ceil(columns / 8)][depth][8], zeros beyond the last column. */
void qir_gemm_u8s8_T__portable(const qir_gemm_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                               const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                               const float *QIR_RESTRICT multiplier, QIR_Y *QIR_RESTRICT y) {
    int32_t row;
    for (row = 0; row < s->rows; ++row, x += s->depth) {
        const int8_t *from = w;
        int32_t column = 0, left;
        for (left = s->columns; left > 0; left -= 8) {
            const int32_t width = left < 8 ? left : 8;
            int32_t acc[8] = {0, 0, 0, 0, 0, 0, 0, 0};
            int32_t k, j;
            for (k = 0; k < s->depth; ++k, from += 8) {
                const int32_t v = x[k];
                for (j = 0; j < 8; ++j) {
                    acc[j] += v * from[j];
                }
            }
            for (j = 0; j < width; ++j, ++column) {
                QIR_STORE(bias[column] + acc[j], multiplier[column], &s->requant, y++);
            }
        }
    }
}
