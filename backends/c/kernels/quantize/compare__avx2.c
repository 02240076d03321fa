#include "../../runtime/qir_avx2.h"
#include "quantize.h"

/* 32 compares as bytes of ones. Packing goes by halves of 128 bits, and leaves four bytes of each vector in either. */
#define QIR_COMPARED(x, bound, how)                                                                                   \
    _mm256_permutevar8x32_epi32(                                                                                      \
        _mm256_packs_epi16(_mm256_packs_epi32(QIR_COMPARED8(x, bound, how), QIR_COMPARED8(x + 8, bound, how)),        \
                           _mm256_packs_epi32(QIR_COMPARED8(x + 16, bound, how), QIR_COMPARED8(x + 24, bound, how))), \
        _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
#define QIR_COMPARED8(x, bound, how) _mm256_castps_si256(_mm256_cmp_ps(_mm256_loadu_ps(x), bound, how))

typedef struct {
    __m256 high;
    __m256 low;
    __m256i codes[3]; /* between, below, above */
} qir_compare_f32_u8_bounds;

QIR_AVX2 static QIR_INLINE void qir_compare_f32_u8_group(const qir_compare_f32_u8_bounds *b, int32_t strict,
                                                         const float *x, uint8_t *y) {
    const __m256i below = QIR_COMPARED(x, b->low, _CMP_LT_OQ);
    const __m256i above = strict ? QIR_COMPARED(x, b->high, _CMP_GT_OQ) : QIR_COMPARED(x, b->high, _CMP_GE_OQ);
    const __m256i codes = _mm256_blendv_epi8(_mm256_blendv_epi8(b->codes[0], b->codes[1], below), b->codes[2], above);
    _mm256_storeu_si256((__m256i *)(void *)y, codes);
}

QIR_AVX2
void qir_compare_f32_u8__avx2(float high, int32_t strict, float low, int32_t between, int32_t zero, size_t count,
                              const float *QIR_RESTRICT x, uint8_t *QIR_RESTRICT y) {
    qir_compare_f32_u8_bounds b;
    size_t i;
    b.high = _mm256_set1_ps(high);
    b.low = _mm256_set1_ps(low);
    b.codes[0] = _mm256_set1_epi8((char)(zero + between));
    b.codes[1] = _mm256_set1_epi8((char)(zero - 1));
    b.codes[2] = _mm256_set1_epi8((char)(zero + 1));
    for (i = 0; i + 32 <= count; i += 32) {
        qir_compare_f32_u8_group(&b, strict, x + i, y + i);
    }
    if (i < count) {
        float given[32] = {0};
        uint8_t found[32];
        memcpy(given, x + i, (count - i) * sizeof(float));
        qir_compare_f32_u8_group(&b, strict, given, found);
        memcpy(y + i, found, count - i);
    }
}
