/* Winograd's products on AVX2 crossed, for many input channels: three or four tiles are multiplied together. Weights of a
   place: [16] of 32 bits, the products of weights that these hold, to be taken off, then those of 16 bits, [pair of input
   channels][16][2]. */
#ifndef QIR_CONV_U8_WINOGRAD_AVX2_CROSSED_H
#define QIR_CONV_U8_WINOGRAD_AVX2_CROSSED_H

#include "../../runtime/qir_woven_x86.h"
#include "conv_u8_winograd_avx2.h"

/* template: begin */
#include "../../runtime/qir_x86_words.h"
/* template: end */

/* Sixteen channels of a tile, eight in either of two chunks. */
QIR_AVX2 static QIR_INLINE void qir_winograd_crossed_put(int16_t *to, int32_t rows, __m256i values) {
    _mm_storeu_si128((__m128i *)(void *)to, _mm256_castsi256_si128(values));
    _mm_storeu_si128((__m128i *)(void *)(to + 8 * rows), _mm256_extracti128_si256(values, 1));
}

/* Lanes 0 and 2 of either half of two vectors. */
QIR_AVX2 static QIR_INLINE __m256i qir_every_other(__m256i a, __m256i b) {
    return _mm256_castps_si256(
        _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), _MM_SHUFFLE(2, 0, 2, 0)));
}

/* A tile's offsets at `places` places, `apart` from place to place; of the sums of each place, which go by fours, every
   other lane is to be added. */
QIR_AVX2 static void qir_winograd_crossed_offsets(const __m256i *sums, int32_t places, ptrdiff_t apart, int32_t *offset) {
    int32_t i, j;
    for (i = 0; i < places; i += 4, sums += 4) {
        int32_t each[4];
        const __m256i two = qir_every_other(sums[0], sums[1]), others = qir_every_other(sums[2], sums[3]);
        const __m256i all = _mm256_hadd_epi32(two, others);
        _mm_storeu_si128((__m128i *)(void *)each,
                         _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1)));
        for (j = 0; j < 4 && i + j < places; ++j, offset += apart) {
            *offset = each[j];
        }
    }
}

/* Products at one place: of a block's tiles, woven, `depth` input channels of each, with the weights of sixteen output
   channels, of which `channels` are left, the sums y [tile][16], modulo 2^32. Weights that come next lie at `next`. */
QIR_AVX2 static void qir_winograd_crossed_place(const qir_heights *cut, int32_t depth, const int16_t *x, const int32_t *offset,
                                                const int16_t *w, const char *next, int32_t channels, int32_t *y) {
    qir_woven t;
    t.chunks = depth / 8;
    t.weights = (const int8_t *)(w + 32);
    t.next = next;
    t.apart = 256 / (cut->higher + cut->lower);
    t.bias = (const int32_t *)(const void *)w;
    QIR_WOVEN_SUMS(&t, (const uint8_t *)x, offset, cut, channels, y);
}

#endif
