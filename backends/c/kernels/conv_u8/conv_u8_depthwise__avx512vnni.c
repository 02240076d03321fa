#include "../../runtime/qir_avx2.h"
#include "../../runtime/qir_avx512.h"
#include "conv_u8_blocks.h"

/* Thirty-two channels of the pixels of a row. Codes of four taps side by side make vpdpbusd add their four products.
   Interleaving goes by halves of 128 bits, so sum v holds channels 4 v .. 4 v + 3 and 16 + 4 v .. 16 + 4 v + 3, and
   packing the results puts them in order. Vectors of 256 bits waste less on channels that are no multiple of 64. */
QIR_AVX512VNNI static QIR_INLINE void qir_conv_u8s8_depthwise_u8_avx512_row(const int32_t fours,
                                                                            const qir_conv_u8_tile *t, ptrdiff_t from,
                                                                            int32_t columns, uint8_t *QIR_RESTRICT y) {
    const void *const *const taps = t->segment;
    const int32_t last = t->segments - 1;
    const qir_requant8 q = qir_widen_requant8(t->requant);
    const __m256i *const bias = (const __m256i *)(const void *)t->bias;
    const __mmask32 lanes = (__mmask32)(t->channels >= 32 ? 0xffffffffu : (1u << t->channels) - 1u);
    const __m256 scale0 = _mm256_loadu_ps(t->multiplier), scale1 = _mm256_loadu_ps(t->multiplier + 8);
    const __m256 scale2 = _mm256_loadu_ps(t->multiplier + 16), scale3 = _mm256_loadu_ps(t->multiplier + 24);
    int32_t column, k;
    for (column = 0; column < columns; ++column, from += t->stride, y += t->step) {
        __m256i sum0 = _mm256_loadu_si256(bias), sum1 = _mm256_loadu_si256(bias + 1);
        __m256i sum2 = _mm256_loadu_si256(bias + 2), sum3 = _mm256_loadu_si256(bias + 3), low, high;
        for (k = 0; k < fours; ++k) {
            const __m256i *const w = (const __m256i *)(const void *)t->weights + 4 * k;
#define QIR_TAP(i)                                                                                     \
    _mm256_loadu_si256(                                                                                \
        (const __m256i *)(const void *)((const uint8_t *)taps[4 * k + i < last ? 4 * k + i : last] + from))
            const __m256i a = QIR_TAP(0), b = QIR_TAP(1), c = QIR_TAP(2), d = QIR_TAP(3);
#undef QIR_TAP
            const __m256i ab = _mm256_unpacklo_epi8(a, b), cd = _mm256_unpacklo_epi8(c, d);
            const __m256i ab2 = _mm256_unpackhi_epi8(a, b), cd2 = _mm256_unpackhi_epi8(c, d);
            QIR_DOT4_8(sum0, _mm256_unpacklo_epi16(ab, cd), _mm256_loadu_si256(w));
            QIR_DOT4_8(sum1, _mm256_unpackhi_epi16(ab, cd), _mm256_loadu_si256(w + 1));
            QIR_DOT4_8(sum2, _mm256_unpacklo_epi16(ab2, cd2), _mm256_loadu_si256(w + 2));
            QIR_DOT4_8(sum3, _mm256_unpackhi_epi16(ab2, cd2), _mm256_loadu_si256(w + 3));
        }
        low = qir_codes16(qir_steps8(sum0, scale0, q), qir_steps8(sum1, scale1, q), q);
        high = qir_codes16(qir_steps8(sum2, scale2, q), qir_steps8(sum3, scale3, q), q);
        _mm256_mask_storeu_epi8(y, lanes, _mm256_max_epu8(_mm256_packus_epi16(low, high), q.least));
    }
}

QIR_AVX512VNNI QIR_ALONE static void qir_conv_u8s8_depthwise_u8_avx512_nine(const qir_conv_u8_tile *t, ptrdiff_t from,
                                                                            int32_t columns, uint8_t *y) {
    qir_conv_u8s8_depthwise_u8_avx512_row(3, t, from, columns, y);
}

QIR_AVX512VNNI QIR_ALONE static void qir_conv_u8s8_depthwise_u8_avx512_any(const qir_conv_u8_tile *t, ptrdiff_t from,
                                                                           int32_t columns, uint8_t *y) {
    qir_conv_u8s8_depthwise_u8_avx512_row((t->segments + 3) / 4, t, from, columns, y);
}

/* One input and one output channel a group, channels by thirty-two; the last ones may lap over those before.
   Weights: [block][four taps][sum][channel][4], bias, with -x_zero_point * sum of w, and multiplier: [block][sum][8],
   channels of a block in the order of the four sums. scratch: see qir_conv_u8_open. */
void qir_conv_u8s8_depthwise_u8__avx512vnni(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b,
                                            const uint8_t *QIR_RESTRICT x, const int8_t *QIR_RESTRICT w,
                                            const int32_t *QIR_RESTRICT bias, const float *QIR_RESTRICT multiplier,
                                            void *QIR_RESTRICT scratch, uint8_t *QIR_RESTRICT y) {
    const int32_t channels = s->groups, fours = (b->segments + 3) / 4;
    qir_conv_u8_block at = qir_conv_u8_first_block(s, b);
    qir_conv_u8_tile t = qir_conv_u8_any_tile(s, b);
    t.channels = channels;
    for (; qir_conv_u8_block_left(s, &at); qir_conv_u8_next_block(s, b, &at)) {
        int32_t channel, r;
        qir_conv_u8_open(s, b, &at, x, 0, scratch);
        for (r = 0; r < at.rows; ++r) {
            uint8_t *const to = y + qir_conv_u8_pixel(s, &at, r) * t.step;
            t.segment = (const void *const *)scratch + (ptrdiff_t)r * b->segments;
            for (channel = 0; channel < channels; channel += 32) {
                const int32_t from = channel + 32 <= channels || channels < 32 ? channel : channels - 32;
                t.weights = w + (ptrdiff_t)channel * fours * 4;
                t.bias = bias + channel;
                t.multiplier = multiplier + channel;
                if (fours == 3) {
                    qir_conv_u8s8_depthwise_u8_avx512_nine(&t, from, at.columns, to + from);
                } else {
                    qir_conv_u8s8_depthwise_u8_avx512_any(&t, from, at.columns, to + from);
                }
            }
        }
    }
}
