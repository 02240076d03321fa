/* What Winograd's kernel does with 256 bits: sixteen input channels are transformed at a time. Three or four tiles are
   multiplied together, by vpmaddwd and with crossed products; weights of a place: [16] of 32 bits, the products of weights
   that these hold, to be taken off, then those of 16 bits, [pair of input channels][16][2]. */
#ifndef QIR_CONV_U8_WINOGRAD_AVX2_H
#define QIR_CONV_U8_WINOGRAD_AVX2_H

#include "../../runtime/qir_woven_x86.h"
#include "conv_u8_winograd.h"

/* template: begin */
#include "../../runtime/qir_x86_words.h"
/* template: end */

QIR_AVX2 static QIR_INLINE __m256i qir_winograd_avx2_codes(const uint8_t *from) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

/* Sixteen channels of a tile, eight in either of two chunks. */
QIR_AVX2 static QIR_INLINE void qir_winograd_avx2_put(int16_t *to, int32_t rows, __m256i values) {
    _mm_storeu_si128((__m128i *)(void *)to, _mm256_castsi256_si128(values));
    _mm_storeu_si128((__m128i *)(void *)(to + 8 * rows), _mm256_extracti128_si256(values, 1));
}

/* Four times, and a ninth of what is divisible by nine, modulo 2^16 and 2^32. */
QIR_AVX2 static QIR_INLINE __m256i qir_winograd_avx2_shorts_4(__m256i values) {
    return _mm256_slli_epi16(values, 2);
}

QIR_AVX2 static QIR_INLINE __m256i qir_winograd_avx2_vector_4(__m256i values) {
    return _mm256_slli_epi32(values, 2);
}

QIR_AVX2 static QIR_INLINE __m256i qir_winograd_avx2_ninth(__m256i values) {
    return _mm256_mullo_epi32(values, _mm256_set1_epi32(QIR_WINOGRAD_NINTH));
}

/* Stores two pixels of reals. */
#define QIR_WINOGRAD_AVX2_BOTH(pair, real, q, y0, y1) pair(real[0][0], real[0][1], real[1][0], real[1][1], q, y0, y1)

/* The offsets of a block's tiles at one place. */
QIR_AVX2 static void qir_winograd_avx2_offsets(const qir_heights *cut, int32_t depth, const int16_t *x, int32_t *offset) {
    int32_t i, chunk;
    for (i = 0; i < cut->higher + cut->lower; ++i) {
        const int32_t pixels = i < cut->higher ? cut->high : cut->high - 1, rows = qir_woven_rows(pixels, 4);
        const int16_t *const last = x + 8 * (rows - 2);
        __m256i upper = _mm256_setzero_si256(), lower = upper;
        for (chunk = 0; chunk < depth; chunk += 8) {
            upper = qir_less_crossed(qir_avx2_vector(x + chunk * rows), upper);
            lower = qir_less_crossed(qir_avx2_vector(last + chunk * rows), lower);
        }
        qir_put_offsets(upper, offset);
        qir_put_offsets(lower, offset + rows - 2);
        x += depth * rows;
        offset += pixels;
    }
}

QIR_AVX2 static void qir_winograd_avx2_place(const qir_heights *cut, int32_t depth, const int16_t *x, const int32_t *offset,
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
