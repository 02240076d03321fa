/* Sixteen accumulators to results, as qir_store_u8 and qir_store_f32 do it for one. */
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

typedef struct {
    __m512 low;
    __m512 high;
    __m512i zero_point;
} qir_requant16;

QIR_AVX512VNNI static QIR_INLINE qir_requant16 qir_widen_requant16(const qir_requant *q) {
    qir_requant16 wide;
    wide.low = _mm512_set1_ps(q->low);
    wide.high = _mm512_set1_ps(q->high);
    wide.zero_point = _mm512_set1_epi32(q->zero_point);
    return wide;
}

/* The codes in the low bytes of 32-bit lanes. Clamped before the conversion, which rounds halves to even: the bounds
   are integers, so the order does not matter, and nothing overflows. */
QIR_AVX512VNNI static QIR_INLINE __m512i qir_avx512_codes(__m512i acc, __m512 multiplier, qir_requant16 q) {
    __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), multiplier);
    v = _mm512_min_ps(_mm512_max_ps(v, q.low), q.high);
    return _mm512_add_epi32(_mm512_cvtps_epi32(v), q.zero_point);
}

QIR_AVX512VNNI static QIR_INLINE void qir_avx512_store16_u8(__m512i acc, __m512 multiplier, qir_requant16 q,
                                                            uint8_t *y) {
    _mm_storeu_si128((__m128i *)(void *)y, _mm512_cvtepi32_epi8(qir_avx512_codes(acc, multiplier, q)));
}

QIR_AVX512VNNI static QIR_INLINE void qir_avx512_store16_f32(__m512i acc, __m512 multiplier, qir_requant16 q,
                                                             float *y) {
    (void)q;
    _mm512_storeu_ps(y, _mm512_mul_ps(_mm512_cvtepi32_ps(acc), multiplier));
}

/* Rows of sixteen results, of which the first `count` belong into rows of y, `step` elements apart. */
QIR_AVX512VNNI QIR_ALONE static void qir_avx512_part16_u8(const uint8_t *part, int32_t rows, int32_t count, uint8_t *y,
                                                   ptrdiff_t step) {
    const __mmask16 lanes = (__mmask16)((1u << count) - 1u);
    for (; rows > 0; --rows, part += 16, y += step) {
        _mm_mask_storeu_epi8(y, lanes, _mm_loadu_si128((const __m128i *)(const void *)part));
    }
}

QIR_AVX512VNNI QIR_ALONE static void qir_avx512_part16_f32(const float *part, int32_t rows, int32_t count, float *y,
                                                    ptrdiff_t step) {
    const __mmask16 lanes = (__mmask16)((1u << count) - 1u);
    for (; rows > 0; --rows, part += 16, y += step) {
        _mm512_mask_storeu_ps(y, lanes, _mm512_loadu_ps(part));
    }
}

#endif
