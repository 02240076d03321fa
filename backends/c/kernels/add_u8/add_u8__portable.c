#include "add_u8.h"

void qir_add_u8u8_u8__portable(const qir_broadcast *s, const qir_add_u8_numbers *n, const uint8_t *a, const uint8_t *b,
                               uint8_t *y) {
    const int32_t rows = qir_broadcast_rows(s), size = s->size[5], a_step = s->a_stride[5], b_step = s->b_stride[5];
    int32_t row, i;
    for (row = 0; row < rows; ++row, y += size) {
        const uint8_t *from_a = a, *from_b = b;
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(s, row, &a_start, &b_start);
        from_a += a_start;
        from_b += b_start;
        if (a_step == 1 && b_step == 1) {
            for (i = 0; i < size; ++i) {
                y[i] = qir_add_u8_one(from_a[i], from_b[i], n);
            }
        } else {
            for (i = 0; i < size; ++i) {
                y[i] = qir_add_u8_one(from_a[(ptrdiff_t)i * a_step], from_b[(ptrdiff_t)i * b_step], n);
            }
        }
    }
}
