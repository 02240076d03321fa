#include "binary.h"

/* template: begin */
#define QIR_EXPRESSION va + vb
#define QIR_A float
#define QIR_B float
#define QIR_Y float
/* template: end */

/* Rows along the innermost axis; the operand that stands still there is read once. */
void qir_binary_T__portable(const qir_broadcast *s, const QIR_A *a, const QIR_B *b, QIR_Y *y) {
    const int32_t rows = qir_broadcast_rows(s), size = s->size[5], a_step = s->a_stride[5], b_step = s->b_stride[5];
    int32_t row, i;
    for (row = 0; row < rows; ++row, y += size) {
        const QIR_A *from_a = a;
        const QIR_B *from_b = b;
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(s, row, &a_start, &b_start);
        from_a += a_start;
        from_b += b_start;
        if (a_step == 1 && b_step == 1) {
            for (i = 0; i < size; ++i) {
                const QIR_A va = from_a[i];
                const QIR_B vb = from_b[i];
                y[i] = (QIR_Y)(QIR_EXPRESSION);
            }
        } else if (a_step == 1 && b_step == 0) {
            const QIR_B vb = *from_b;
            for (i = 0; i < size; ++i) {
                const QIR_A va = from_a[i];
                y[i] = (QIR_Y)(QIR_EXPRESSION);
            }
        } else {
            for (i = 0; i < size; ++i) {
                const QIR_A va = from_a[(ptrdiff_t)i * a_step];
                const QIR_B vb = from_b[(ptrdiff_t)i * b_step];
                y[i] = (QIR_Y)(QIR_EXPRESSION);
            }
        }
    }
}
