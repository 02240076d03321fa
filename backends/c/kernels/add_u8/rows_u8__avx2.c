#include "../../runtime/qir_avx2.h"
#include "../../runtime/qir_broadcast.h"

/* template: begin */
#include "add_u8_avx2.h"
#define QIR_NUMBERS qir_add_u8_numbers
#define QIR_WIDE qir_add8
#define QIR_WIDEN qir_widen_add8
#define QIR_EIGHT qir_avx2_add8
#define QIR_Y uint8_t
#define QIR_REALS16 qir_avx2_reals16_u8
/* template: end */

QIR_AVX2 static QIR_INLINE void qir_rows_u8u8_T_avx2_block(const QIR_WIDE *n, __m128i a, __m128i b, QIR_Y *y) {
    QIR_REALS16(QIR_EIGHT(n, a, b), QIR_EIGHT(n, _mm_srli_si128(a, 8), _mm_srli_si128(b, 8)), n->q, y);
}

/* Rows whose operands are contiguous or repeat. Blocks of sixteen are read before they are written, so y may be a or
   b; what is left of a row goes through room of its own. */
QIR_AVX2
void qir_rows_u8u8_T__avx2(const qir_broadcast *s, const QIR_NUMBERS *numbers, const uint8_t *a, const uint8_t *b,
                           QIR_Y *y) {
    const int32_t rows = qir_broadcast_rows(s), size = s->size[5], a_step = s->a_stride[5], b_step = s->b_stride[5];
    const QIR_WIDE n = QIR_WIDEN(numbers);
    int32_t row, i;
    for (row = 0; row < rows; ++row, y += size) {
        const uint8_t *from_a, *from_b;
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(s, row, &a_start, &b_start);
        from_a = a + a_start;
        from_b = b + b_start;
        for (i = 0; i + 16 <= size; i += 16) {
            qir_rows_u8u8_T_avx2_block(&n, qir_neighbours16(from_a + (ptrdiff_t)i * a_step, a_step),
                                       qir_neighbours16(from_b + (ptrdiff_t)i * b_step, b_step), y + i);
        }
        if (i < size) {
            uint8_t left[16] = {0}, right[16] = {0};
            QIR_Y found[16];
            memcpy(left, from_a + (ptrdiff_t)i * a_step, (size_t)(a_step ? size - i : 1));
            memcpy(right, from_b + (ptrdiff_t)i * b_step, (size_t)(b_step ? size - i : 1));
            qir_rows_u8u8_T_avx2_block(&n, qir_neighbours16(left, a_step), qir_neighbours16(right, b_step), found);
            memcpy(y + i, found, (size_t)(size - i) * sizeof(QIR_Y));
        }
    }
}
