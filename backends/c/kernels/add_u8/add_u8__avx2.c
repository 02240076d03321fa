#include "../../runtime/qir_avx2.h"
#include "add_u8.h"

typedef struct {
    __m256 a_multiplier;
    __m256 b_multiplier;
    __m256 offset;
    qir_requant8 q;
} qir_add_u8u8_u8_avx2_numbers;

/* Eight sums as steps. The products are kept apart from the sums, lest a compiler fuse them. */
QIR_AVX2 static QIR_INLINE __m256i qir_add_u8u8_u8_avx2_eight(const qir_add_u8u8_u8_avx2_numbers *n, __m128i a,
                                                              __m128i b) {
    __m256 first = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(a)), n->a_multiplier);
    __m256 second = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(b)), n->b_multiplier);
    QIR_KEEP_PRODUCT(first);
    QIR_KEEP_PRODUCT(second);
    first = _mm256_add_ps(_mm256_add_ps(n->offset, first), second);
    return _mm256_cvtps_epi32(_mm256_min_ps(first, n->q.high));
}

QIR_AVX2 static QIR_INLINE __m128i qir_add_u8u8_u8_avx2_block(const qir_add_u8u8_u8_avx2_numbers *n, __m128i a,
                                                              __m128i b) {
    const __m256i first = qir_add_u8u8_u8_avx2_eight(n, a, b);
    const __m256i second = qir_add_u8u8_u8_avx2_eight(n, _mm_srli_si128(a, 8), _mm_srli_si128(b, 8));
    return qir_codes_in_order(first, second, n->q);
}

/* Rows whose operands are contiguous or repeat. Blocks of sixteen are read before they are written, so y may be a or
   b; what is left of a row goes through room of its own. */
QIR_AVX2
void qir_add_u8u8_u8__avx2(const qir_broadcast *s, const qir_add_u8_numbers *numbers, const uint8_t *a,
                           const uint8_t *b, uint8_t *y) {
    const int32_t rows = qir_broadcast_rows(s), size = s->size[5], a_step = s->a_stride[5], b_step = s->b_stride[5];
    qir_add_u8u8_u8_avx2_numbers n;
    int32_t row, i;
    n.a_multiplier = _mm256_set1_ps(numbers->a_multiplier);
    n.b_multiplier = _mm256_set1_ps(numbers->b_multiplier);
    n.offset = _mm256_set1_ps(numbers->offset);
    n.q = qir_widen_requant8(&numbers->requant);
    for (row = 0; row < rows; ++row, y += size) {
        const uint8_t *from_a, *from_b;
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(s, row, &a_start, &b_start);
        from_a = a + a_start;
        from_b = b + b_start;
        for (i = 0; i + 16 <= size; i += 16) {
            const __m128i codes = qir_add_u8u8_u8_avx2_block(
                &n, qir_neighbours16(from_a + (ptrdiff_t)i * a_step, a_step),
                qir_neighbours16(from_b + (ptrdiff_t)i * b_step, b_step));
            _mm_storeu_si128((__m128i *)(void *)(y + i), codes);
        }
        if (i < size) {
            uint8_t left[16] = {0}, right[16] = {0};
            memcpy(left, from_a + (ptrdiff_t)i * a_step, (size_t)(a_step ? size - i : 1));
            memcpy(right, from_b + (ptrdiff_t)i * b_step, (size_t)(b_step ? size - i : 1));
            _mm_storeu_si128((__m128i *)(void *)left,
                             qir_add_u8u8_u8_avx2_block(&n, qir_neighbours16(left, a_step),
                                                        qir_neighbours16(right, b_step)));
            memcpy(y + i, left, (size_t)(size - i));
        }
    }
}
