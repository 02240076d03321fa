#include "../../runtime/qir_avx2.h"
#include "mul_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_REALS16 qir_avx2_reals16_u8
/* template: end */

typedef struct {
    __m256i a_zero_point;
    __m256i b_zero_point;
    __m256 multiplier;
    qir_requant8 q;
} qir_mul_u8u8_T_avx2_numbers;

/* Eight products, at most 255 * 255 and so exact as floats, times the multiplier. */
QIR_AVX2 static QIR_INLINE __m256 qir_mul_u8u8_T_avx2_eight(const qir_mul_u8u8_T_avx2_numbers *n, __m128i a,
                                                            __m128i b) {
    const __m256i left = _mm256_sub_epi32(_mm256_cvtepu8_epi32(a), n->a_zero_point);
    const __m256i right = _mm256_sub_epi32(_mm256_cvtepu8_epi32(b), n->b_zero_point);
    return _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(left), _mm256_cvtepi32_ps(right)), n->multiplier);
}

QIR_AVX2 static QIR_INLINE void qir_mul_u8u8_T_avx2_block(const qir_mul_u8u8_T_avx2_numbers *n, __m128i a, __m128i b,
                                                          QIR_Y *y) {
    QIR_REALS16(qir_mul_u8u8_T_avx2_eight(n, a, b),
                qir_mul_u8u8_T_avx2_eight(n, _mm_srli_si128(a, 8), _mm_srli_si128(b, 8)), n->q, y);
}

/* Rows whose operands are contiguous or repeat. Blocks of sixteen are read before they are written, so y may be a or
   b; what is left of a row goes through room of its own. */
QIR_AVX2
void qir_mul_u8u8_T__avx2(const qir_broadcast *s, const qir_mul_u8_numbers *numbers, const uint8_t *a,
                          const uint8_t *b, QIR_Y *y) {
    const int32_t rows = qir_broadcast_rows(s), size = s->size[5], a_step = s->a_stride[5], b_step = s->b_stride[5];
    qir_mul_u8u8_T_avx2_numbers n;
    int32_t row, i;
    n.a_zero_point = _mm256_set1_epi32(numbers->a_zero_point);
    n.b_zero_point = _mm256_set1_epi32(numbers->b_zero_point);
    n.multiplier = _mm256_set1_ps(numbers->multiplier);
    n.q = qir_widen_requant8(&numbers->requant);
    for (row = 0; row < rows; ++row, y += size) {
        const uint8_t *from_a, *from_b;
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(s, row, &a_start, &b_start);
        from_a = a + a_start;
        from_b = b + b_start;
        for (i = 0; i + 16 <= size; i += 16) {
            qir_mul_u8u8_T_avx2_block(&n, qir_neighbours16(from_a + (ptrdiff_t)i * a_step, a_step),
                                      qir_neighbours16(from_b + (ptrdiff_t)i * b_step, b_step), y + i);
        }
        if (i < size) {
            uint8_t left[16] = {0}, right[16] = {0};
            QIR_Y found[16];
            memcpy(left, from_a + (ptrdiff_t)i * a_step, (size_t)(a_step ? size - i : 1));
            memcpy(right, from_b + (ptrdiff_t)i * b_step, (size_t)(b_step ? size - i : 1));
            qir_mul_u8u8_T_avx2_block(&n, qir_neighbours16(left, a_step), qir_neighbours16(right, b_step), found);
            memcpy(y + i, found, (size_t)(size - i) * sizeof(QIR_Y));
        }
    }
}
