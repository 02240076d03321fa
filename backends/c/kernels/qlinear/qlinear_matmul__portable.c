#include "qlinear.h"

/* template: begin */
#define QIR_A uint8_t
#define QIR_B int8_t
#define QIR_Y int32_t
#define QIR_STORE qir_qlinear_store_s32
/* template: end */

void qir_qlinear_matmul_T__portable(const qir_qlinear_matmul_shape *s, const QIR_A *QIR_RESTRICT a,
                                    const float *QIR_RESTRICT a_scale, const QIR_A *QIR_RESTRICT a_zero,
                                    const QIR_B *QIR_RESTRICT b, const float *QIR_RESTRICT b_scale,
                                    const QIR_B *QIR_RESTRICT b_zero, const float *QIR_RESTRICT y_scale,
                                    const QIR_Y *QIR_RESTRICT y_zero, QIR_Y *QIR_RESTRICT y) {
    const int32_t groups = qir_broadcast_rows(&s->batch);
    int32_t group, inner, row, column, k;
    for (group = 0; group < groups; ++group) {
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(&s->batch, group, &a_start, &b_start);
        for (inner = 0; inner < s->batch.size[5]; ++inner) {
            for (row = 0; row < s->rows; ++row) {
                for (column = 0; column < s->columns; ++column) {
                    const QIR_A *from_a =
                        a + a_start + (ptrdiff_t)inner * s->batch.a_stride[5] + (ptrdiff_t)row * s->a_row_stride;
                    const QIR_B *from_b =
                        b + b_start + (ptrdiff_t)inner * s->batch.b_stride[5] + (ptrdiff_t)column * s->b_column_stride;
                    const int32_t za = a_zero[(ptrdiff_t)row * s->a_zero_stride];
                    const int32_t zb = b_zero[(ptrdiff_t)column * s->b_zero_stride];
                    const float sa = a_scale[(ptrdiff_t)row * s->a_scale_stride];
                    const float sb = b_scale[(ptrdiff_t)column * s->b_scale_stride];
                    uint32_t acc = 0;
                    for (k = 0; k < s->depth; ++k, from_a += s->a_depth_stride, from_b += s->b_depth_stride) {
                        acc += (uint32_t)((*from_a - za) * (*from_b - zb));
                    }
                    QIR_STORE(acc, sa * sb / *y_scale, *y_zero, y++);
                }
            }
        }
    }
}
