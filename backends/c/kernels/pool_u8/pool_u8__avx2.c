#include "../../runtime/qir_avx2.h"
#include "pool_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_avx2_store16_u8
/* template: end */

/* Sixteen channels of a pixel: at most 257 taps, whose sum fits 16 bits without sign. */
QIR_AVX2 static QIR_INLINE void qir_pool_u8_T_avx2_block(const qir_pool_u8_shape *s, const qir_taps *t,
                                                         const uint8_t *x, __m256 multiplier, qir_requant8 q,
                                                         QIR_Y *y) {
    const __m256i zero = _mm256_set1_epi32(qir_pool_u8_inside(t) * s->x_zero_point);
    __m256i sums = _mm256_setzero_si256();
    int32_t a, b, c;
    for (a = t->first[0]; a < t->last[0]; ++a) {
        for (b = t->first[1]; b < t->last[1]; ++b) {
            const ptrdiff_t step = (ptrdiff_t)s->window.dilation[2] * s->channels;
            const uint8_t *from = x + qir_under_tap(&s->window, t, a, b, t->first[2]) * s->channels;
            for (c = t->first[2]; c < t->last[2]; ++c, from += step) {
                const __m128i codes = _mm_loadu_si128((const __m128i *)(const void *)from);
                sums = _mm256_add_epi16(sums, _mm256_cvtepu8_epi16(codes));
            }
        }
    }
    QIR_STORE16(_mm256_sub_epi32(_mm256_cvtepu16_epi32(_mm256_castsi256_si128(sums)), zero),
                _mm256_sub_epi32(_mm256_cvtepu16_epi32(_mm256_extracti128_si256(sums, 1)), zero), multiplier,
                multiplier, q, y);
}

/* At least sixteen channels; the last sixteen may lap over those before. */
QIR_AVX2
void qir_pool_u8_T__avx2(const qir_pool_u8_shape *s, const uint8_t *QIR_RESTRICT x, QIR_Y *QIR_RESTRICT y) {
    const int32_t channels = s->channels, pixels = qir_pixels(&s->window);
    const qir_requant8 q = qir_widen_requant8(&s->requant);
    int32_t pixel, channel;
    for (pixel = 0; pixel < pixels; ++pixel, y += channels) {
        __m256 multiplier;
        qir_taps t;
        qir_find_taps(&s->window, pixel, &t);
        multiplier = _mm256_set1_ps(s->multiplier / (float)qir_pool_u8_count(s, &t));
        for (channel = 0; channel < channels; channel += 16) {
            const int32_t from = channel + 16 <= channels ? channel : channels - 16;
            qir_pool_u8_T_avx2_block(s, &t, x + from, multiplier, q, y + from);
        }
    }
}
