/* Eight weighted sums at once. */
#ifndef QIR_ADD_U8_AVX2_H
#define QIR_ADD_U8_AVX2_H

#include "../../runtime/qir_avx2.h"
#include "add_u8.h"

typedef struct {
    __m256 a_multiplier;
    __m256 b_multiplier;
    __m256 offset;
    qir_requant8 q;
} qir_add8;

QIR_AVX2 static QIR_INLINE qir_add8 qir_widen_add8(const qir_add_u8_numbers *numbers) {
    qir_add8 wide;
    wide.a_multiplier = _mm256_set1_ps(numbers->a_multiplier);
    wide.b_multiplier = _mm256_set1_ps(numbers->b_multiplier);
    wide.offset = _mm256_set1_ps(numbers->offset);
    wide.q = qir_widen_requant8(&numbers->requant);
    return wide;
}

/* The products are kept apart from the sums, lest a compiler fuse them. */
QIR_AVX2 static QIR_INLINE __m256 qir_avx2_add8(const qir_add8 *n, __m128i a, __m128i b) {
    __m256 first = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(a)), n->a_multiplier);
    __m256 second = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(b)), n->b_multiplier);
    QIR_KEEP_PRODUCT(first);
    QIR_KEEP_PRODUCT(second);
    return _mm256_add_ps(_mm256_add_ps(n->offset, first), second);
}

#endif
