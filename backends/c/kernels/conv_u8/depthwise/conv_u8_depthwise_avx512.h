/* What depthwise kernels do with 512 bits. Joining goes by quarters of 128 bits: of 64 channels vector v of four holds
   channels 4 v .. 4 v + 3, 16 + 4 v .. 16 + 4 v + 3 and so on, and packing the four puts them in order. */
#ifndef QIR_CONV_U8_DEPTHWISE_AVX512_H
#define QIR_CONV_U8_DEPTHWISE_AVX512_H

#include "../../../runtime/qir_avx512.h"

typedef struct {
    __m512i zero_point; /* 16-bit lanes */
    __m512i least;      /* in bytes */
    __m512i most;
} qir_depthwise_avx512_bounds;

QIR_AVX512VNNI static QIR_INLINE qir_depthwise_avx512_bounds qir_depthwise_avx512_widen(const qir_requant *q) {
    qir_depthwise_avx512_bounds wide;
    wide.zero_point = _mm512_set1_epi16((int16_t)q->zero_point);
    wide.least = _mm512_set1_epi8((char)(q->low + q->zero_point));
    wide.most = _mm512_set1_epi8((char)(q->high + q->zero_point));
    return wide;
}

QIR_AVX512VNNI static QIR_INLINE __m512i qir_depthwise_avx512_load(const void *from) {
    return _mm512_loadu_si512(from);
}

/* Rounded products, halves to even; the binder knows that they fit int32. */
QIR_AVX512VNNI static QIR_INLINE __m512i qir_depthwise_avx512_steps(__m512i sum, const float *multiplier) {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(multiplier)));
}

/* Saturation keeps what is far from the codes there. */
QIR_AVX512VNNI static QIR_INLINE __m512i qir_depthwise_avx512_words(__m512i first, __m512i second,
                                                                    qir_depthwise_avx512_bounds q) {
    return _mm512_adds_epi16(_mm512_packs_epi32(first, second), q.zero_point);
}

QIR_AVX512VNNI static QIR_INLINE __m512i qir_depthwise_avx512_bytes(__m512i low, __m512i high,
                                                                    qir_depthwise_avx512_bounds q) {
    (void)q;
    return _mm512_packus_epi16(low, high);
}

QIR_AVX512VNNI static QIR_INLINE __m512i qir_depthwise_avx512_clamped(__m512i low, __m512i high,
                                                                    qir_depthwise_avx512_bounds q) {
    return _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(low, high), q.least), q.most);
}

QIR_AVX512VNNI static QIR_INLINE void qir_depthwise_avx512_store(uint8_t *y, __m512i codes, int32_t count) {
    if (count >= 64) {
        _mm512_storeu_si512(y, codes);
    } else {
        _mm512_mask_storeu_epi8(y, (__mmask64)(((uint64_t)1 << count) - 1u), codes);
    }
}

/* Four rows, as bytes. */
QIR_AVX512VNNI static QIR_INLINE void qir_depthwise_avx512_join(const uint8_t *const *rows, __m512i *to) {
    const __m512i a = qir_depthwise_avx512_load(rows[0]), b = qir_depthwise_avx512_load(rows[1]);
    const __m512i c = qir_depthwise_avx512_load(rows[2]), d = qir_depthwise_avx512_load(rows[3]);
    const __m512i ab = _mm512_unpacklo_epi8(a, b), ab2 = _mm512_unpackhi_epi8(a, b);
    const __m512i cd = _mm512_unpacklo_epi8(c, d), cd2 = _mm512_unpackhi_epi8(c, d);
    _mm512_storeu_si512(to, _mm512_unpacklo_epi16(ab, cd));
    _mm512_storeu_si512(to + 1, _mm512_unpackhi_epi16(ab, cd));
    _mm512_storeu_si512(to + 2, _mm512_unpacklo_epi16(ab2, cd2));
    _mm512_storeu_si512(to + 3, _mm512_unpackhi_epi16(ab2, cd2));
}

#endif
