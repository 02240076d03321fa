#include "../../runtime/qir_avx2.h"
#include "../../runtime/qir_broadcast16.h"
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

QIR_AVX2 static QIR_INLINE void qir_add_u8u8_u8_avx2_block(const void *numbers, const uint8_t *a, int32_t a_step,
                                                           const uint8_t *b, int32_t b_step, void *y) {
    const qir_add_u8u8_u8_avx2_numbers *const n = (const qir_add_u8u8_u8_avx2_numbers *)numbers;
    const __m128i left = qir_neighbours16(a, a_step), right = qir_neighbours16(b, b_step);
    const __m256i first = qir_add_u8u8_u8_avx2_eight(n, left, right);
    const __m256i second = qir_add_u8u8_u8_avx2_eight(n, _mm_srli_si128(left, 8), _mm_srli_si128(right, 8));
    _mm_storeu_si128((__m128i *)y, qir_codes_in_order(first, second, n->q));
}

QIR_AVX2
void qir_add_u8u8_u8__avx2(const qir_broadcast *s, const qir_add_u8_numbers *numbers, const uint8_t *a,
                           const uint8_t *b, uint8_t *y) {
    qir_add_u8u8_u8_avx2_numbers n;
    n.a_multiplier = _mm256_set1_ps(numbers->a_multiplier);
    n.b_multiplier = _mm256_set1_ps(numbers->b_multiplier);
    n.offset = _mm256_set1_ps(numbers->offset);
    n.q = qir_widen_requant8(&numbers->requant);
    qir_broadcast_by16(qir_add_u8u8_u8_avx2_block, s, &n, a, b, sizeof(uint8_t), y);
}
