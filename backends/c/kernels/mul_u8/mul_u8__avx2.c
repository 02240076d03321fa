#include "../../runtime/qir_avx2.h"
#include "../../runtime/qir_broadcast16.h"
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

QIR_AVX2 static QIR_INLINE void qir_mul_u8u8_T_avx2_block(const void *numbers, const uint8_t *a, int32_t a_step,
                                                          const uint8_t *b, int32_t b_step, void *y) {
    const qir_mul_u8u8_T_avx2_numbers *const n = (const qir_mul_u8u8_T_avx2_numbers *)numbers;
    const __m128i left = qir_neighbours16(a, a_step), right = qir_neighbours16(b, b_step);
    QIR_REALS16(qir_mul_u8u8_T_avx2_eight(n, left, right),
                qir_mul_u8u8_T_avx2_eight(n, _mm_srli_si128(left, 8), _mm_srli_si128(right, 8)), n->q, (QIR_Y *)y);
}

QIR_AVX2
void qir_mul_u8u8_T__avx2(const qir_broadcast *s, const qir_mul_u8_numbers *numbers, const uint8_t *a,
                          const uint8_t *b, QIR_Y *y) {
    qir_mul_u8u8_T_avx2_numbers n;
    n.a_zero_point = _mm256_set1_epi32(numbers->a_zero_point);
    n.b_zero_point = _mm256_set1_epi32(numbers->b_zero_point);
    n.multiplier = _mm256_set1_ps(numbers->multiplier);
    n.q = qir_widen_requant8(&numbers->requant);
    qir_broadcast_by16(qir_mul_u8u8_T_avx2_block, s, &n, a, b, sizeof(QIR_Y), y);
}
