#include "mul_u8.h"

/* template: begin */
#define QIR_A uint8_t
#define QIR_B uint8_t
#define QIR_ACC int32_t
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
/* template: end */

void qir_mul_u8u8_T__portable(const qir_broadcast *s, const qir_mul_u8_numbers *n, const QIR_A *a, const QIR_B *b,
                              QIR_Y *y) {
    const int32_t rows = qir_broadcast_rows(s), size = s->size[5], a_step = s->a_stride[5], b_step = s->b_stride[5];
    int32_t row, i;
    for (row = 0; row < rows; ++row, y += size) {
        const QIR_A *from_a = a;
        const QIR_B *from_b = b;
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(s, row, &a_start, &b_start);
        from_a += a_start;
        from_b += b_start;
        for (i = 0; i < size; ++i) {
            const int32_t left = from_a[(ptrdiff_t)i * a_step] - n->a_zero_point;
            const int32_t right = from_b[(ptrdiff_t)i * b_step] - n->b_zero_point;
            QIR_STORE((QIR_ACC)left * right, n->multiplier, &n->requant, y + i);
        }
    }
}
