#include "add_u8.h"

/* template: begin */
#define QIR_A uint8_t
#define QIR_B uint8_t
#define QIR_ACC int32_t
#define QIR_Y uint8_t
/* template: end */

/* Element i of a and b is read before element i of y is written, so y may be a or b. */
void qir_add_fixed_u8u8_u8__portable(const qir_broadcast *s, const qir_add_fixed_numbers *n, const QIR_A *a,
                                     const QIR_B *b, QIR_Y *y) {
    const qir_add_fixed_numbers numbers = *n;
    const QIR_ACC offset = (QIR_ACC)numbers.offset;
    const int32_t rows = qir_broadcast_rows(s), size = s->size[5], a_step = s->a_stride[5], b_step = s->b_stride[5];
    int32_t row, i;
    for (row = 0; row < rows; ++row, y += size) {
        const QIR_A *from_a = a;
        const QIR_B *from_b = b;
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(s, row, &a_start, &b_start);
        from_a += a_start;
        from_b += b_start;
        for (i = 0; i < size; ++i, from_a += a_step, from_b += b_step) {
            QIR_ACC v = offset + (QIR_ACC)*from_a * numbers.a_multiplier + (QIR_ACC)*from_b * numbers.b_multiplier;
            v >>= numbers.shift;
            v = v > numbers.requant.low ? v : numbers.requant.low;
            v = v < numbers.requant.high ? v : numbers.requant.high;
            y[i] = (QIR_Y)v;
        }
    }
}
