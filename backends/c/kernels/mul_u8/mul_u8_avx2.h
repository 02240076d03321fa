/* Eight products at once. */
#ifndef QIR_MUL_U8_AVX2_H
#define QIR_MUL_U8_AVX2_H

#include "../../runtime/qir_avx2.h"
#include "mul_u8.h"

typedef struct {
    __m256i a_zero_point;
    __m256i b_zero_point;
    __m256 multiplier;
    qir_requant8 q;
} qir_mul8;

QIR_AVX2 static QIR_INLINE qir_mul8 qir_widen_mul8(const qir_mul_u8_numbers *numbers) {
    qir_mul8 wide;
    wide.a_zero_point = _mm256_set1_epi32(numbers->a_zero_point);
    wide.b_zero_point = _mm256_set1_epi32(numbers->b_zero_point);
    wide.multiplier = _mm256_set1_ps(numbers->multiplier);
    wide.q = qir_widen_requant8(&numbers->requant);
    return wide;
}

/* Products of codes are at most 255 * 255 and so exact as floats. */
QIR_AVX2 static QIR_INLINE __m256 qir_avx2_mul8(const qir_mul8 *n, __m128i a, __m128i b) {
    const __m256i left = _mm256_sub_epi32(_mm256_cvtepu8_epi32(a), n->a_zero_point);
    const __m256i right = _mm256_sub_epi32(_mm256_cvtepu8_epi32(b), n->b_zero_point);
    return _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(left), _mm256_cvtepi32_ps(right)), n->multiplier);
}

#endif
