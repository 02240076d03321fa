#include "../../runtime/qir_avx2.h"
#include "add_u8.h"

/* template: begin */
#define QIR_A int16_t
#define QIR_B uint8_t
#define QIR_Y int16_t
/* template: end */

typedef struct {
    __m256 a_multiplier;
    __m256 b_multiplier;
    __m256 offset;
    __m256 low;
    __m256 high;
} qir_add_wide_T_avx2_numbers;

/* Sixteen codes in lanes of 16 bits: bytes are unsigned, longer ones signed. */
QIR_AVX2 static QIR_INLINE __m256i qir_add_wide_T_avx2_codes(const void *from, size_t bytes) {
    return bytes == 1 ? _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)from))
                      : _mm256_loadu_si256((const __m256i *)from);
}

/* Eight sums as steps, clamped before the conversion, for the bounds are integers. The products are kept apart from the
   sums, lest a compiler fuse them. */
QIR_AVX2 static QIR_INLINE __m256i qir_add_wide_T_avx2_eight(const qir_add_wide_T_avx2_numbers *n, __m128i a,
                                                             __m128i b) {
    __m256 first = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(a)), n->a_multiplier);
    __m256 second = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(b)), n->b_multiplier);
    QIR_KEEP_PRODUCT(first);
    QIR_KEEP_PRODUCT(second);
    first = _mm256_add_ps(_mm256_add_ps(n->offset, first), second);
    return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(first, n->low), n->high));
}

/* Both operands are read before the results are written. Packing goes by halves of 128 bits. */
QIR_AVX2 static QIR_INLINE void qir_add_wide_T_avx2_block(const qir_add_wide_T_avx2_numbers *n, const QIR_A *a,
                                                          const QIR_B *b, QIR_Y *y) {
    const __m256i left = qir_add_wide_T_avx2_codes(a, sizeof(QIR_A));
    const __m256i right = qir_add_wide_T_avx2_codes(b, sizeof(QIR_B));
    const __m256i first =
        qir_add_wide_T_avx2_eight(n, _mm256_castsi256_si128(left), _mm256_castsi256_si128(right));
    const __m256i second =
        qir_add_wide_T_avx2_eight(n, _mm256_extracti128_si256(left, 1), _mm256_extracti128_si256(right, 1));
    const __m256i codes = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), _MM_SHUFFLE(3, 1, 2, 0));
    if (sizeof(QIR_Y) == 1) {
        const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
        _mm_storeu_si128((__m128i *)(void *)y, bytes);
    } else {
        _mm256_storeu_si256((__m256i *)(void *)y, codes);
    }
}

/* By sixteen; what is left goes through room of its own. y may be a or b, where it has their type. */
QIR_AVX2
void qir_add_wide_T__avx2(const qir_add_u8_numbers *numbers, size_t count, const QIR_A *a, const QIR_B *b, QIR_Y *y) {
    qir_add_wide_T_avx2_numbers n;
    size_t i;
    n.a_multiplier = _mm256_set1_ps(numbers->a_multiplier);
    n.b_multiplier = _mm256_set1_ps(numbers->b_multiplier);
    n.offset = _mm256_set1_ps(numbers->offset);
    n.low = _mm256_set1_ps((float)numbers->requant.low);
    n.high = _mm256_set1_ps((float)numbers->requant.high);
    for (i = 0; i + 16 <= count; i += 16) {
        qir_add_wide_T_avx2_block(&n, a + i, b + i, y + i);
    }
    if (i < count) {
        QIR_A from_a[16] = {0};
        QIR_B from_b[16] = {0};
        QIR_Y found[16];
        memcpy(from_a, a + i, (count - i) * sizeof(QIR_A));
        memcpy(from_b, b + i, (count - i) * sizeof(QIR_B));
        qir_add_wide_T_avx2_block(&n, from_a, from_b, found);
        memcpy(y + i, found, (count - i) * sizeof(QIR_Y));
    }
}
