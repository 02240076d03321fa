/* Sixteen elements on their way through registers as codes: loaded as they are or quantized, stored as they are or
   dequantized. */
#ifndef QIR_MOVES_AVX2_H
#define QIR_MOVES_AVX2_H

#include "qir_avx2.h"

typedef struct {
    __m256 scale;
    __m256i zero_point; /* 32-bit lanes */
    qir_requant8 q;
} qir_moves8;

QIR_AVX2 static QIR_INLINE qir_moves8 qir_widen_moves8(float scale, const qir_requant *q) {
    qir_moves8 wide;
    wide.scale = _mm256_set1_ps(scale);
    wide.zero_point = _mm256_set1_epi32(q->zero_point);
    wide.q = qir_widen_requant8(q);
    return wide;
}

QIR_AVX2 static QIR_INLINE __m128i qir_avx2_load16_u8(const uint8_t *x, const qir_moves8 *m) {
    (void)m;
    return _mm_loadu_si128((const __m128i *)(const void *)x);
}

/* Of two operands, one of them NaN, vminps takes the second; the conversion makes the least int32 of NaN, and packing
   qmin. */
QIR_AVX2 static QIR_INLINE __m128i qir_avx2_load16_f32(const float *x, const qir_moves8 *m) {
    const __m256 first = _mm256_div_ps(_mm256_loadu_ps(x), m->scale);
    const __m256 second = _mm256_div_ps(_mm256_loadu_ps(x + 8), m->scale);
    return qir_codes_in_order(_mm256_cvtps_epi32(_mm256_min_ps(m->q.high, first)),
                              _mm256_cvtps_epi32(_mm256_min_ps(m->q.high, second)), m->q);
}

QIR_AVX2 static QIR_INLINE void qir_avx2_move16_u8(__m128i codes, const qir_moves8 *m, uint8_t *y) {
    (void)m;
    _mm_storeu_si128((__m128i *)(void *)y, codes);
}

QIR_AVX2 static QIR_INLINE void qir_avx2_move16_f32(__m128i codes, const qir_moves8 *m, float *y) {
    const __m256i first = _mm256_sub_epi32(_mm256_cvtepu8_epi32(codes), m->zero_point);
    const __m256i second = _mm256_sub_epi32(_mm256_cvtepu8_epi32(_mm_srli_si128(codes, 8)), m->zero_point);
    _mm256_storeu_ps(y, _mm256_mul_ps(_mm256_cvtepi32_ps(first), m->scale));
    _mm256_storeu_ps(y + 8, _mm256_mul_ps(_mm256_cvtepi32_ps(second), m->scale));
}

#endif
