#include "binary.h"

/* template: begin */
#include "../../runtime/qir_f32_words.h"
#define QIR_EXPRESSION QIR_ADD(va, vb)
/* template: end */

QIR_ISA static QIR_INLINE QIR_VF qir_binary_f32_of(QIR_VF va, QIR_VF vb) {
    return QIR_EXPRESSION;
}

/* Neighbours, or one number repeated. */
QIR_ISA static QIR_INLINE QIR_VF qir_binary_f32_some(const float *from, int32_t step, int32_t i, int32_t count) {
    if (!step) {
        return QIR_ALL(*from);
    }
    return count >= QIR_WIDTH ? QIR_LOAD(from + i) : QIR_LOAD_PART(from + i, count);
}

/* Rows whose operands are contiguous or repeat. A vector is read before it is written, so y may be a or b. */
QIR_ISA
void qir_binary_f32__vectors(const qir_broadcast *s, const float *a, const float *b, float *y) {
    const int32_t rows = qir_broadcast_rows(s), size = s->size[5], a_step = s->a_stride[5], b_step = s->b_stride[5];
    int32_t row, i;
    for (row = 0; row < rows; ++row, y += size) {
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(s, row, &a_start, &b_start);
        for (i = 0; i + QIR_WIDTH <= size; i += QIR_WIDTH) {
            QIR_STORE(y + i, qir_binary_f32_of(qir_binary_f32_some(a + a_start, a_step, i, QIR_WIDTH),
                                               qir_binary_f32_some(b + b_start, b_step, i, QIR_WIDTH)));
        }
        if (i < size) {
            QIR_STORE_PART(y + i, size - i, qir_binary_f32_of(qir_binary_f32_some(a + a_start, a_step, i, size - i),
                                                              qir_binary_f32_some(b + b_start, b_step, i, size - i)));
        }
    }
}
