#include "../../runtime/qir_avx2.h"
#include "conv_u8_blocks.h"

/* Sixteen channels of the pixels of a row. Codes of two taps side by side, as 16 bits, make vpmaddwd add their two
   products. Interleaving goes by halves of 128 bits, so one sum holds channels 0..3 and 8..11, the other 4..7 and
   12..15, and packing the results puts them in order. */
QIR_AVX2 static QIR_INLINE void qir_conv_u8s8_depthwise_u8_avx2_row(const int32_t pairs, const qir_conv_u8_tile *t,
                                                                    const int16_t *w, ptrdiff_t from, int32_t columns,
                                                                    uint8_t *QIR_RESTRICT y) {
    const void *const *const taps = t->segment;
    const int32_t last = t->segments - 1;
    const qir_requant8 q = qir_widen_requant8(t->requant);
    const __m256 scale = _mm256_loadu_ps(t->multiplier), scale2 = _mm256_loadu_ps(t->multiplier + 8);
    int32_t column, k;
    for (column = 0; column < columns; ++column, from += t->stride, y += t->step) {
        __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)t->bias);
        __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)(t->bias + 8));
        __m256i both;
        __m128i codes;
        for (k = 0; k < pairs; ++k) {
            const uint8_t *const a = (const uint8_t *)taps[2 * k] + from;
            const uint8_t *const b = (const uint8_t *)taps[2 * k < last ? 2 * k + 1 : last] + from;
            const __m256i u = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)a));
            const __m256i v = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)b));
            const __m256i *const weights = (const __m256i *)(const void *)(w + 32 * k);
            QIR_DOT2(first, _mm256_unpacklo_epi16(u, v), _mm256_loadu_si256(weights));
            QIR_DOT2(second, _mm256_unpackhi_epi16(u, v), _mm256_loadu_si256(weights + 1));
        }
        both = qir_codes16(qir_steps8(first, scale, q), qir_steps8(second, scale2, q), q);
        codes = _mm_packus_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
        codes = _mm_max_epu8(codes, _mm256_castsi256_si128(q.least));
        if (t->channels >= 16) {
            _mm_storeu_si128((__m128i *)(void *)y, codes);
        } else {
            uint8_t part[16];
            _mm_storeu_si128((__m128i *)(void *)part, codes);
            qir_avx2_part16_u8(part, 1, t->channels, y, 0);
        }
    }
}

QIR_AVX2 QIR_ALONE static void qir_conv_u8s8_depthwise_u8_avx2_nine(const qir_conv_u8_tile *t, const int16_t *w,
                                                                    ptrdiff_t from, int32_t columns, uint8_t *y) {
    qir_conv_u8s8_depthwise_u8_avx2_row(5, t, w, from, columns, y);
}

QIR_AVX2 QIR_ALONE static void qir_conv_u8s8_depthwise_u8_avx2_any(const qir_conv_u8_tile *t, const int16_t *w,
                                                                   ptrdiff_t from, int32_t columns, uint8_t *y) {
    qir_conv_u8s8_depthwise_u8_avx2_row((t->segments + 1) / 2, t, w, from, columns, y);
}

/* One input and one output channel a group, channels by sixteen; the last sixteen may lap over those before.
   Weights: [block][pair of taps][2][channel][2], bias, with -x_zero_point * sum of w, and multiplier: [block][2][8],
   channels of a block in the order of the two sums. scratch: see qir_conv_u8_open. */
void qir_conv_u8s8_depthwise_u8__avx2(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b,
                                      const uint8_t *QIR_RESTRICT x, const int16_t *QIR_RESTRICT w,
                                      const int32_t *QIR_RESTRICT bias, const float *QIR_RESTRICT multiplier,
                                      void *QIR_RESTRICT scratch, uint8_t *QIR_RESTRICT y) {
    const int32_t channels = s->groups, pairs = (b->segments + 1) / 2;
    qir_conv_u8_block at = qir_conv_u8_first_block(s, b);
    qir_conv_u8_tile t = qir_conv_u8_any_tile(s, b);
    t.channels = channels;
    for (; qir_conv_u8_block_left(s, &at); qir_conv_u8_next_block(s, b, &at)) {
        int32_t channel, r;
        qir_conv_u8_open(s, b, &at, x, 0, scratch);
        for (r = 0; r < at.rows; ++r) {
            uint8_t *const to = y + qir_conv_u8_pixel(s, &at, r) * t.step;
            t.segment = (const void *const *)scratch + (ptrdiff_t)r * b->segments;
            for (channel = 0; channel < channels; channel += 16) {
                const int32_t from = channel + 16 <= channels || channels < 16 ? channel : channels - 16;
                const int16_t *const weights = w + (ptrdiff_t)channel * pairs * 2;
                t.bias = bias + channel;
                t.multiplier = multiplier + channel;
                if (pairs == 5) {
                    qir_conv_u8s8_depthwise_u8_avx2_nine(&t, weights, from, at.columns, to + from);
                } else {
                    qir_conv_u8s8_depthwise_u8_avx2_any(&t, weights, from, at.columns, to + from);
                }
            }
        }
    }
}
