#include "einsum.h"

/* template: begin */
#define QIR_T float
#define QIR_ACC float
/* template: end */

/* QIR_ACC is QIR_T itself for floats, and for integers the unsigned type of its width, which wraps. */
static QIR_ACC qir_einsum_T_sum(const qir_broadcast *s, const QIR_T *a, const QIR_T *b) {
    const int32_t rows = qir_broadcast_rows(s);
    QIR_ACC sum = 0;
    int32_t row, k;
    for (row = 0; row < rows; ++row) {
        const QIR_T *from_a = a, *from_b = b;
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(s, row, &a_start, &b_start);
        from_a += a_start;
        from_b += b_start;
        for (k = 0; k < s->size[5]; ++k, from_a += s->a_stride[5], from_b += s->b_stride[5]) {
            sum += (QIR_ACC)*from_a * (QIR_ACC)*from_b;
        }
    }
    return sum;
}

void qir_einsum_T__portable(const qir_einsum_shape *s, const QIR_T *QIR_RESTRICT a, const QIR_T *QIR_RESTRICT b,
                            QIR_T *QIR_RESTRICT y) {
    const int32_t rows = qir_broadcast_rows(&s->kept);
    int32_t row, i;
    for (row = 0; row < rows; ++row) {
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(&s->kept, row, &a_start, &b_start);
        for (i = 0; i < s->kept.size[5]; ++i, a_start += s->kept.a_stride[5], b_start += s->kept.b_stride[5]) {
            *y++ = (QIR_T)qir_einsum_T_sum(&s->summed, a + a_start, b + b_start);
        }
    }
}
