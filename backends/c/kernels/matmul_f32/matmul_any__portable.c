#include "matmul_f32.h"

/* template: begin */
#define QIR_T double
#define QIR_ACC double
/* template: end */

/* QIR_ACC is QIR_T itself for floats, and for integers the unsigned type of its width, which wraps. */
void qir_matmul_any_T__portable(const qir_matmul_f32_shape *s, double alpha, double beta, const QIR_T *QIR_RESTRICT a,
                                const QIR_T *QIR_RESTRICT b, const QIR_T *QIR_RESTRICT bias, QIR_T *QIR_RESTRICT y) {
    const int32_t groups = qir_broadcast_rows(&s->batch);
    int32_t group, inner, row, column, k;
    for (group = 0; group < groups; ++group) {
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(&s->batch, group, &a_start, &b_start);
        for (inner = 0; inner < s->batch.size[5]; ++inner) {
            for (row = 0; row < s->rows; ++row) {
                for (column = 0; column < s->columns; ++column) {
                    const QIR_T *from_a =
                        a + a_start + (ptrdiff_t)inner * s->batch.a_stride[5] + (ptrdiff_t)row * s->a_row_stride;
                    const QIR_T *from_b =
                        b + b_start + (ptrdiff_t)inner * s->batch.b_stride[5] + (ptrdiff_t)column * s->b_column_stride;
                    const QIR_T add =
                        bias[(ptrdiff_t)row * s->bias_row_stride + (ptrdiff_t)column * s->bias_column_stride];
                    QIR_ACC acc = 0;
                    for (k = 0; k < s->depth; ++k, from_a += s->a_depth_stride, from_b += s->b_depth_stride) {
                        acc += (QIR_ACC)*from_a * (QIR_ACC)*from_b;
                    }
                    if (alpha == 1.0 && beta == 1.0) {
                        *y++ = (QIR_T)(acc + (QIR_ACC)add);
                    } else {
                        *y++ = (QIR_T)(alpha * (double)(QIR_T)acc + beta * (double)add);
                    }
                }
            }
        }
    }
}
