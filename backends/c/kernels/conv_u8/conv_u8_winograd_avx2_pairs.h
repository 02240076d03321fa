/* Winograd's products on AVX2, for few input channels: one to six tiles are multiplied together, by vpmaddwd, a pair of
   input channels a step, whose weights are [16][2]. */
#ifndef QIR_CONV_U8_WINOGRAD_AVX2_PAIRS_H
#define QIR_CONV_U8_WINOGRAD_AVX2_PAIRS_H

#include "conv_u8_winograd_avx2.h"

QIR_AVX2 static QIR_INLINE void qir_winograd_avx2_put(int16_t *to, __m256i values) {
    _mm256_storeu_si256((__m256i *)(void *)to, values);
}

#define QIR_BEGIN(i) __m256i a##i = zero, b##i = zero;
#define QIR_STEP(i)                                                               \
    codes = _mm256_set1_epi32(qir_four_bytes((i < 3 ? x : x3) + i % 3 * stride)); \
    QIR_DOT2_TWICE(a##i, b##i, codes, w0, w1);
#define QIR_END(i)                                              \
    _mm256_storeu_si256((__m256i *)(void *)(y + 16 * i), a##i); \
    _mm256_storeu_si256((__m256i *)(void *)(y + 16 * i + 8), b##i);
#define QIR_TILES(n)                                                                                        \
    QIR_AVX2 QIR_ALONE static void qir_winograd_avx2_##n(int32_t steps, const int16_t *x, const int16_t *w, \
                                                         const char *next, int32_t apart, int32_t *y) {     \
        const __m256i zero = _mm256_setzero_si256();                                                        \
        const ptrdiff_t stride = (ptrdiff_t)steps * 2;                                                      \
        const int16_t *x3 = x + 3 * stride;                                                                 \
        QIR_EACH_##n(QIR_BEGIN) do {                                                                        \
            const __m256i w0 = _mm256_loadu_si256((const __m256i *)(const void *)w);                        \
            const __m256i w1 = _mm256_loadu_si256((const __m256i *)(const void *)(w + 16));                 \
            __m256i codes;                                                                                  \
            QIR_EACH_##n(QIR_STEP) _mm_prefetch(next, _MM_HINT_T0);                                         \
            x += 2, x3 += 2, w += 32, next += apart;                                                        \
        } while (--steps);                                                                                  \
        (void)x3;                                                                                           \
        QIR_EACH_##n(QIR_END)                                                                               \
    }
QIR_TILES(1) QIR_TILES(2) QIR_TILES(3) QIR_TILES(4) QIR_TILES(5) QIR_TILES(6)
#undef QIR_BEGIN
#undef QIR_STEP
#undef QIR_END
#undef QIR_TILES

static qir_winograd_tiles *const qir_winograd_avx2_products[] = {qir_winograd_avx2_1, qir_winograd_avx2_2,
                                                                 qir_winograd_avx2_3, qir_winograd_avx2_4,
                                                                 qir_winograd_avx2_5, qir_winograd_avx2_6};

#endif
