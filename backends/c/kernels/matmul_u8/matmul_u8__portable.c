#include "matmul_u8.h"

/* template: begin */
#define QIR_A uint8_t
#define QIR_B uint8_t
#define QIR_ACC int32_t
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
/* template: end */

void qir_matmul_u8u8_T__portable(const qir_matmul_u8_shape *s, float multiplier, const QIR_A *QIR_RESTRICT a,
                                 const QIR_B *QIR_RESTRICT b, QIR_Y *QIR_RESTRICT y) {
    const int32_t groups = qir_broadcast_rows(&s->batch), step = s->b_column_stride;
    int32_t group, inner, row, column;
    for (group = 0; group < groups; ++group) {
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(&s->batch, group, &a_start, &b_start);
        for (inner = 0; inner < s->batch.size[5]; ++inner) {
            const QIR_A *from_a = a + a_start + (ptrdiff_t)inner * s->batch.a_stride[5];
            const QIR_B *const from_b = b + b_start + (ptrdiff_t)inner * s->batch.b_stride[5];
            for (row = 0; row < s->rows; ++row, from_a += s->a_row_stride) {
                for (column = 0; column < s->columns; column += 8) {
                    const int32_t width = s->columns - column < 8 ? s->columns - column : 8;
                    const QIR_A *codes_a = from_a;
                    const QIR_B *codes_b = from_b + (ptrdiff_t)column * step;
                    QIR_ACC acc[8] = {0, 0, 0, 0, 0, 0, 0, 0};
                    int32_t k, j;
                    for (k = 0; k < s->depth; ++k, codes_a += s->a_depth_stride, codes_b += s->b_depth_stride) {
                        const int32_t v = *codes_a - s->a_zero_point;
                        if (width == 8 && step == 1) {
                            QIR_LANES
                            for (j = 0; j < 8; ++j) {
                                acc[j] += (QIR_ACC)v * (codes_b[j] - s->b_zero_point);
                            }
                        } else {
                            for (j = 0; j < width; ++j) {
                                acc[j] += (QIR_ACC)v * (codes_b[(ptrdiff_t)j * step] - s->b_zero_point);
                            }
                        }
                    }
                    for (j = 0; j < width; ++j) {
                        QIR_STORE(acc[j], multiplier, &s->requant, y++);
                    }
                }
            }
        }
    }
}
