#include "../../runtime/qir_avx2.h"
#include "mul_u8.h"

typedef struct {
    __m256i zero_point;
    __m256i factor;
    __m256 multiplier;
    qir_requant8 q;
} qir_mul_s16u8_u8_avx2_numbers;

/* Eight products, less than 2^24 and so exact as floats, times the multiplier. */
QIR_AVX2 static QIR_INLINE __m256 qir_mul_s16u8_u8_avx2_eight(const qir_mul_s16u8_u8_avx2_numbers *n, __m128i a) {
    const __m256i left = _mm256_sub_epi32(_mm256_cvtepi16_epi32(a), n->zero_point);
    return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_mullo_epi32(left, n->factor)), n->multiplier);
}

QIR_AVX2 static QIR_INLINE void qir_mul_s16u8_u8_avx2_block(const qir_mul_s16u8_u8_avx2_numbers *n, const int16_t *a,
                                                            uint8_t *y) {
    const __m256i codes = _mm256_loadu_si256((const __m256i *)(const void *)a);
    qir_avx2_reals16_u8(qir_mul_s16u8_u8_avx2_eight(n, _mm256_castsi256_si128(codes)),
                        qir_mul_s16u8_u8_avx2_eight(n, _mm256_extracti128_si256(codes, 1)), n->q, y);
}

/* By sixteen, of one b; what is left goes through room of its own. */
QIR_AVX2
void qir_mul_s16u8_u8__avx2(const qir_mul_u8_numbers *numbers, size_t count, const int16_t *a, const uint8_t *b,
                            uint8_t *y) {
    qir_mul_s16u8_u8_avx2_numbers n;
    size_t i;
    n.zero_point = _mm256_set1_epi32(numbers->a_zero_point);
    n.factor = _mm256_set1_epi32(*b - numbers->b_zero_point);
    n.multiplier = _mm256_set1_ps(numbers->multiplier);
    n.q = qir_widen_requant8(&numbers->requant);
    for (i = 0; i + 16 <= count; i += 16) {
        qir_mul_s16u8_u8_avx2_block(&n, a + i, y + i);
    }
    if (i < count) {
        int16_t from[16] = {0};
        uint8_t found[16];
        memcpy(from, a + i, (count - i) * sizeof(int16_t));
        qir_mul_s16u8_u8_avx2_block(&n, from, found);
        memcpy(y + i, found, count - i);
    }
}
