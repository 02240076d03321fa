/* What Winograd's kernels do with 256 bits: sixteen input channels are transformed at a time. */
#ifndef QIR_CONV_U8_WINOGRAD_AVX2_H
#define QIR_CONV_U8_WINOGRAD_AVX2_H

#include "../../runtime/qir_avx2.h"
#include "conv_u8_winograd.h"

QIR_AVX2 static QIR_INLINE __m256i qir_winograd_avx2_codes(const uint8_t *from) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
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

#endif
