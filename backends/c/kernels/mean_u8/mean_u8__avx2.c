#include "../../runtime/qir_avx2.h"
#include "mean_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_avx2_store16_u8
/* template: end */

typedef struct {
    __m256i low; /* sums of the first eight */
    __m256i high;
    __m256i part; /* sixteen sums of at most 257 codes, which fit 16 bits without sign */
} qir_mean_u8_T_avx2_sums;

QIR_AVX2 static QIR_INLINE void qir_mean_u8_T_avx2_widen(qir_mean_u8_T_avx2_sums *sums) {
    sums->low = _mm256_add_epi32(sums->low, _mm256_cvtepu16_epi32(_mm256_castsi256_si128(sums->part)));
    sums->high = _mm256_add_epi32(sums->high, _mm256_cvtepu16_epi32(_mm256_extracti128_si256(sums->part, 1)));
    sums->part = _mm256_setzero_si256();
}

/* Sixteen neighbours. Sums of codes, less the zero point as often as there are codes, taken modulo 2^32, are the sums of
   the differences, which fit. */
QIR_AVX2 static QIR_INLINE void qir_mean_u8_T_avx2_block(const qir_mean_u8_shape *s, const uint8_t *x, __m256i zero,
                                                         __m256 multiplier, qir_requant8 q, QIR_Y *y) {
    const int32_t rows = qir_mean_u8_rows(s->reduced);
    qir_mean_u8_T_avx2_sums sums = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
    int32_t row, i, left = 257;
    for (row = 0; row < rows; ++row) {
        const uint8_t *from = x + qir_mean_u8_offset(s->reduced, s->reduced_stride, row);
        for (i = 0; i < s->reduced[5]; ++i, from += s->reduced_stride[5]) {
            const __m128i codes = _mm_loadu_si128((const __m128i *)(const void *)from);
            sums.part = _mm256_add_epi16(sums.part, _mm256_cvtepu8_epi16(codes));
            if (--left == 0) {
                qir_mean_u8_T_avx2_widen(&sums);
                left = 257;
            }
        }
    }
    qir_mean_u8_T_avx2_widen(&sums);
    QIR_STORE16(_mm256_sub_epi32(sums.low, zero), _mm256_sub_epi32(sums.high, zero), multiplier, multiplier, q, y);
}

/* At least sixteen neighbours; the last sixteen may lap over those before. */
QIR_AVX2
void qir_mean_u8_T__avx2(const qir_mean_u8_shape *s, const uint8_t *QIR_RESTRICT x, QIR_Y *QIR_RESTRICT y) {
    const int32_t rows = qir_mean_u8_rows(s->kept), size = s->kept[5];
    const uint32_t count = (uint32_t)(qir_mean_u8_rows(s->reduced) * s->reduced[5]);
    const __m256i zero = _mm256_set1_epi32((int32_t)(count * (uint32_t)s->x_zero_point));
    const __m256 multiplier = _mm256_set1_ps(s->multiplier);
    const qir_requant8 q = qir_widen_requant8(&s->requant);
    int32_t row, i;
    for (row = 0; row < rows; ++row, y += size) {
        const uint8_t *const start = x + qir_mean_u8_offset(s->kept, s->kept_stride, row);
        for (i = 0; i < size; i += 16) {
            const int32_t from = i + 16 <= size ? i : size - 16;
            qir_mean_u8_T_avx2_block(s, start + from, zero, multiplier, q, y + from);
        }
    }
}
