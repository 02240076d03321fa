/* Element-wise kernels on vectors: rows of two operands that broadcast, sixteen elements at a time. */
#ifndef QIR_BROADCAST16_H
#define QIR_BROADCAST16_H

#include "qir_broadcast.h"
#include "qir_vector.h"

/* Computes sixteen results. Operands are neighbours at step 1, one that repeats at step 0. All are read before any
   result is written. */
typedef void qir_block16(const void *numbers, const uint8_t *a, int32_t a_step, const uint8_t *b, int32_t b_step,
                         void *y);

/* Rows whose operands are contiguous or repeat. y, whose elements have `bytes`, may be a or b: what is left of a row
   goes through room of its own. */
static QIR_INLINE void qir_broadcast_by16(qir_block16 *block, const qir_broadcast *s, const void *numbers,
                                          const uint8_t *a, const uint8_t *b, size_t bytes, void *y) {
    const int32_t rows = qir_broadcast_rows(s), size = s->size[5], a_step = s->a_stride[5], b_step = s->b_stride[5];
    uint8_t *to = (uint8_t *)y;
    int32_t row, i;
    for (row = 0; row < rows; ++row) {
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(s, row, &a_start, &b_start);
        for (i = 0; i + 16 <= size; i += 16, to += 16 * bytes) {
            block(numbers, a + a_start + (ptrdiff_t)i * a_step, a_step, b + b_start + (ptrdiff_t)i * b_step, b_step,
                  to);
        }
        if (i < size) {
            const size_t left = (size_t)(size - i);
            uint8_t from_a[16] = {0}, from_b[16] = {0};
            float found[16];
            (void)memcpy(from_a, a + a_start + (ptrdiff_t)i * a_step, a_step ? left : 1);
            (void)memcpy(from_b, b + b_start + (ptrdiff_t)i * b_step, b_step ? left : 1);
            block(numbers, from_a, a_step, from_b, b_step, found);
            (void)memcpy(to, found, left * bytes);
            to += left * bytes;
        }
    }
}

#endif
