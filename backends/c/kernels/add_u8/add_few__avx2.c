/* Sums of which one operand has at most 16 neighbouring codes, and that have few codes themselves: for each code of the
   former the sum rises with the other operand, so it is y_low + how many thresholds that one reaches. They are looked up
   by the former's number. Where none of 256 codes reaches a threshold what is added is 0. */
#include "../../runtime/qir_avx2.h"
#include "add_few.h"

typedef struct {
    __m256i threshold[QIR_ADD_FEW_MOST];
    __m256i added[QIR_ADD_FEW_MOST];
    __m256i few_low;
    __m256i y_low;
} qir_add_few_avx2_numbers;

QIR_AVX2 static QIR_INLINE __m256i qir_add_few_avx2_row(const uint8_t *row) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)row));
}

QIR_AVX2 static QIR_INLINE void qir_add_few_avx2_block(const qir_add_few_avx2_numbers *n, int32_t levels,
                                                       const uint8_t *many, const uint8_t *few, uint8_t *y) {
    const __m256i number = _mm256_sub_epi8(qir_avx2_vector(few), n->few_low), codes = qir_avx2_vector(many);
    __m256i sum = n->y_low;
    int32_t level;
    for (level = 0; level < levels; ++level) {
        const __m256i threshold = _mm256_shuffle_epi8(n->threshold[level], number);
        const __m256i reached = _mm256_cmpeq_epi8(_mm256_max_epu8(codes, threshold), codes);
        sum = _mm256_add_epi8(sum, _mm256_and_si256(reached, _mm256_shuffle_epi8(n->added[level], number)));
    }
    _mm256_storeu_si256((__m256i *)(void *)y, sum);
}

/* y may share its bytes with an operand. */
QIR_AVX2
void qir_add_few_u8u8_u8__avx2(const qir_add_few_numbers *numbers, size_t count, const uint8_t *many,
                               const uint8_t *few, uint8_t *y) {
    qir_add_few_avx2_numbers n;
    const int32_t levels = numbers->levels;
    int32_t level;
    for (level = 0; level < levels; ++level) {
        n.threshold[level] = qir_add_few_avx2_row(numbers->threshold[level]);
        n.added[level] = qir_add_few_avx2_row(numbers->added[level]);
    }
    n.few_low = _mm256_set1_epi8((char)numbers->few_low);
    n.y_low = _mm256_set1_epi8((char)numbers->y_low);
    for (; count >= 32; count -= 32, many += 32, few += 32, y += 32) {
        qir_add_few_avx2_block(&n, levels, many, few, y);
    }
    if (count) {
        uint8_t part[3][32] = {{0}};
        (void)memcpy(part[0], many, count);
        (void)memcpy(part[1], few, count);
        qir_add_few_avx2_block(&n, levels, part[0], part[1], part[2]);
        (void)memcpy(y, part[2], count);
    }
}
