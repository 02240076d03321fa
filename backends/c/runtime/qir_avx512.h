/* Accumulators to results, sixteen by sixteen, as qir_store_u8 and qir_store_f32 do it for one: first to reals, then,
   where results are codes, these to codes. */
#ifndef QIR_AVX512_H
#define QIR_AVX512_H

#include "qir_x86.h"

/* sum += four products a lane, codes unsigned and weights signed, on 512 and on 256 bits. As builtin gcc copies every
   sum before and after. */
#if defined(__GNUC__) && !defined(__clang__)
#define QIR_DOT4(sum, codes, weights) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weights))
#define QIR_DOT4_8(sum, codes, weights) QIR_DOT4(sum, codes, weights)
#else
#define QIR_DOT4(sum, codes, weights) ((sum) = _mm512_dpbusd_epi32(sum, codes, weights))
#define QIR_DOT4_8(sum, codes, weights) ((sum) = _mm256_dpbusd_epi32(sum, codes, weights))
#endif

QIR_AVX512VNNI static QIR_INLINE __m512i qir_avx512_take_four(const uint8_t *x) {
    return _mm512_set1_epi32(qir_four_bytes(x));
}

typedef struct {
    __m512 high;
    __m512i zero_point; /* 16-bit lanes */
    __m512i least;      /* qmin in bytes */
    __m512i order;      /* see qir_avx512_bytes */
} qir_requant16;

QIR_AVX512VNNI static QIR_INLINE qir_requant16 qir_widen_requant16(const qir_requant *q) {
    qir_requant16 wide;
    wide.high = _mm512_set1_ps((float)q->high);
    wide.zero_point = _mm512_set1_epi16((int16_t)q->zero_point);
    wide.least = _mm512_set1_epi8((char)(q->low + q->zero_point));
    wide.order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return wide;
}

/* Sixteen sums of products as reals, in units of the result's scale where that is codes. */
QIR_AVX512VNNI static QIR_INLINE __m512 qir_avx512_scaled(__m512i acc, __m512 multiplier) {
    return _mm512_mul_ps(_mm512_cvtepi32_ps(acc), multiplier);
}

/* Codes without their zero point, clamped above only: the bound is an integer, so it may stand before the conversion,
   which rounds halves to even. What lies below int32 becomes the least int32. */
QIR_AVX512VNNI static QIR_INLINE __m512i qir_steps16(__m512 real, qir_requant16 q) {
    return _mm512_cvtps_epi32(_mm512_min_ps(q.high, real));
}

/* Four vectors of steps as bytes, one vector after the other. Saturation keeps what is far below zero there, so that
   packing to bytes makes it 0 and `least` clamps it. Packing goes by quarters of 128 bits, of which each then holds
   four bytes of every vector; `order` puts them right. */
QIR_AVX512VNNI static QIR_INLINE __m512i qir_avx512_bytes(__m512i a, __m512i b, __m512i c, __m512i d, qir_requant16 q) {
    const __m512i ab = _mm512_adds_epi16(_mm512_packs_epi32(a, b), q.zero_point);
    const __m512i cd = _mm512_adds_epi16(_mm512_packs_epi32(c, d), q.zero_point);
    return _mm512_permutexvar_epi32(q.order, _mm512_packus_epi16(ab, cd));
}

QIR_AVX512VNNI static QIR_INLINE __m512i qir_avx512_codes(__m512 a, __m512 b, __m512 c, __m512 d, qir_requant16 q) {
    return _mm512_max_epu8(
        qir_avx512_bytes(qir_steps16(a, q), qir_steps16(b, q), qir_steps16(c, q), qir_steps16(d, q), q), q.least);
}

/* The same where every code is a result and the reals are known to fit int32: packing alone saturates. */
QIR_AVX512VNNI static QIR_INLINE __m512i qir_avx512_codes_whole(__m512 a, __m512 b, __m512 c, __m512 d,
                                                                qir_requant16 q) {
    return qir_avx512_bytes(_mm512_cvtps_epi32(a), _mm512_cvtps_epi32(b), _mm512_cvtps_epi32(c), _mm512_cvtps_epi32(d),
                            q);
}

/* Four rows of sixteen. */
QIR_AVX512VNNI static QIR_INLINE void qir_avx512_put_four(__m512i codes, uint8_t *y0, uint8_t *y1, uint8_t *y2,
                                                          uint8_t *y3) {
    _mm_storeu_si128((__m128i *)(void *)y0, _mm512_castsi512_si128(codes));
    _mm_storeu_si128((__m128i *)(void *)y1, _mm512_extracti32x4_epi32(codes, 1));
    _mm_storeu_si128((__m128i *)(void *)y2, _mm512_extracti32x4_epi32(codes, 2));
    _mm_storeu_si128((__m128i *)(void *)y3, _mm512_extracti32x4_epi32(codes, 3));
}

QIR_AVX512VNNI static QIR_INLINE void qir_avx512_four_u8(__m512 a, __m512 b, __m512 c, __m512 d, qir_requant16 q,
                                                         uint8_t *y0, uint8_t *y1, uint8_t *y2, uint8_t *y3) {
    qir_avx512_put_four(qir_avx512_codes(a, b, c, d, q), y0, y1, y2, y3);
}

QIR_AVX512VNNI static QIR_INLINE void qir_avx512_four_whole_u8(__m512 a, __m512 b, __m512 c, __m512 d, qir_requant16 q,
                                                               uint8_t *y0, uint8_t *y1, uint8_t *y2, uint8_t *y3) {
    qir_avx512_put_four(qir_avx512_codes_whole(a, b, c, d, q), y0, y1, y2, y3);
}

QIR_AVX512VNNI static QIR_INLINE void qir_avx512_four_f32(__m512 a, __m512 b, __m512 c, __m512 d, qir_requant16 q,
                                                          float *y0, float *y1, float *y2, float *y3) {
    (void)q;
    _mm512_storeu_ps(y0, a);
    _mm512_storeu_ps(y1, b);
    _mm512_storeu_ps(y2, c);
    _mm512_storeu_ps(y3, d);
}

/* Two rows of thirty-two. */
QIR_AVX512VNNI static QIR_INLINE void qir_avx512_put_pair(__m512i codes, uint8_t *y0, uint8_t *y1) {
    _mm256_storeu_si256((__m256i *)(void *)y0, _mm512_castsi512_si256(codes));
    _mm256_storeu_si256((__m256i *)(void *)y1, _mm512_extracti64x4_epi64(codes, 1));
}

QIR_AVX512VNNI static QIR_INLINE void qir_avx512_pair_u8(__m512 a, __m512 b, __m512 c, __m512 d, qir_requant16 q,
                                                         uint8_t *y0, uint8_t *y1) {
    qir_avx512_put_pair(qir_avx512_codes(a, b, c, d, q), y0, y1);
}

QIR_AVX512VNNI static QIR_INLINE void qir_avx512_pair_whole_u8(__m512 a, __m512 b, __m512 c, __m512 d, qir_requant16 q,
                                                               uint8_t *y0, uint8_t *y1) {
    qir_avx512_put_pair(qir_avx512_codes_whole(a, b, c, d, q), y0, y1);
}

QIR_AVX512VNNI static QIR_INLINE void qir_avx512_pair_f32(__m512 a, __m512 b, __m512 c, __m512 d, qir_requant16 q,
                                                          float *y0, float *y1) {
    qir_avx512_four_f32(a, b, c, d, q, y0, y0 + 16, y1, y1 + 16);
}

/* One row of sixty-four. */
QIR_AVX512VNNI static QIR_INLINE void qir_avx512_row_u8(__m512 a, __m512 b, __m512 c, __m512 d, qir_requant16 q,
                                                        uint8_t *y) {
    _mm512_storeu_si512(y, qir_avx512_codes(a, b, c, d, q));
}

QIR_AVX512VNNI static QIR_INLINE void qir_avx512_row_whole_u8(__m512 a, __m512 b, __m512 c, __m512 d, qir_requant16 q,
                                                              uint8_t *y) {
    _mm512_storeu_si512(y, qir_avx512_codes_whole(a, b, c, d, q));
}

QIR_AVX512VNNI static QIR_INLINE void qir_avx512_row_f32(__m512 a, __m512 b, __m512 c, __m512 d, qir_requant16 q,
                                                         float *y) {
    qir_avx512_four_f32(a, b, c, d, q, y, y + 16, y + 32, y + 48);
}

/* The first `count` of up to thirty-two results. */
QIR_AVX512VNNI static QIR_INLINE void qir_avx512_first_u8(const uint8_t *part, int32_t count, uint8_t *y) {
    const __mmask32 lanes = (__mmask32)((UINT64_C(1) << count) - 1u);
    _mm256_mask_storeu_epi8(y, lanes, _mm256_maskz_loadu_epi8(lanes, part));
}

QIR_AVX512VNNI static QIR_INLINE void qir_avx512_first_f32(const float *part, int32_t count, float *y) {
    memcpy(y, part, (size_t)count * sizeof(float));
}

#endif
