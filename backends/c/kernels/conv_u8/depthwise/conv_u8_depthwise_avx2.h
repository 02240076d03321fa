/* What depthwise kernels do with 256 bits. Joining goes by halves of 128 bits: of 32 channels vector v of four holds channels
   4 v .. 4 v + 3 and 16 + 4 v .. 16 + 4 v + 3, and packing the four puts them in order. */
#ifndef QIR_CONV_U8_DEPTHWISE_AVX2_H
#define QIR_CONV_U8_DEPTHWISE_AVX2_H

#include "../../../runtime/qir_avx2.h"

typedef struct {
    __m256i zero_point; /* 16-bit lanes */
    __m256i least;      /* in bytes */
    __m256i most;
} qir_depthwise_avx2_bounds;

QIR_AVX2 static QIR_INLINE qir_depthwise_avx2_bounds qir_depthwise_avx2_widen(const qir_requant *q) {
    qir_depthwise_avx2_bounds wide;
    wide.zero_point = _mm256_set1_epi16((int16_t)q->zero_point);
    wide.least = _mm256_set1_epi8((char)(q->low + q->zero_point));
    wide.most = _mm256_set1_epi8((char)(q->high + q->zero_point));
    return wide;
}

QIR_AVX2 static QIR_INLINE __m256i qir_depthwise_avx2_load(const void *from) {
    return _mm256_loadu_si256((const __m256i *)from);
}

/* Rounded products, halves to even; the binder knows that they fit int32. */
QIR_AVX2 static QIR_INLINE __m256i qir_depthwise_avx2_steps(__m256i sum, const float *multiplier) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(multiplier)));
}

/* Saturation keeps what is far from the codes there. */
QIR_AVX2 static QIR_INLINE __m256i qir_depthwise_avx2_words(__m256i first, __m256i second,
                                                            qir_depthwise_avx2_bounds q) {
    return _mm256_adds_epi16(_mm256_packs_epi32(first, second), q.zero_point);
}

QIR_AVX2 static QIR_INLINE __m256i qir_depthwise_avx2_bytes(__m256i low, __m256i high, qir_depthwise_avx2_bounds q) {
    (void)q;
    return _mm256_packus_epi16(low, high);
}

QIR_AVX2 static QIR_INLINE __m256i qir_depthwise_avx2_clamped(__m256i low, __m256i high, qir_depthwise_avx2_bounds q) {
    return _mm256_min_epu8(_mm256_max_epu8(_mm256_packus_epi16(low, high), q.least), q.most);
}

QIR_AVX2 static QIR_INLINE void qir_depthwise_avx2_store(uint8_t *y, __m256i codes, int32_t count) {
    if (count >= 32) {
        _mm256_storeu_si256((__m256i *)(void *)y, codes);
    } else {
        uint8_t part[32];
        int32_t i;
        _mm256_storeu_si256((__m256i *)(void *)part, codes);
        for (i = 0; i + 8 <= count; i += 8) {
            memcpy(y + i, part + i, 8);
        }
        for (; i < count; ++i) {
            y[i] = part[i];
        }
    }
}

/* Two rows, as 16 bits. */
QIR_AVX2 static QIR_INLINE void qir_depthwise_avx2_join(const uint8_t *const *rows, __m256i *to) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i a = qir_depthwise_avx2_load(rows[0]), b = qir_depthwise_avx2_load(rows[1]);
    const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
    _mm256_storeu_si256(to, _mm256_unpacklo_epi8(low, zero));
    _mm256_storeu_si256(to + 1, _mm256_unpackhi_epi8(low, zero));
    _mm256_storeu_si256(to + 2, _mm256_unpacklo_epi8(high, zero));
    _mm256_storeu_si256(to + 3, _mm256_unpackhi_epi8(high, zero));
}

/* The same of weights, which have a sign. */
QIR_AVX2 static QIR_INLINE void qir_depthwise_avx2_join_weights(const uint8_t *const *rows, __m256i *to) {
    int32_t i;
    qir_depthwise_avx2_join(rows, to);
    for (i = 0; i < 4; ++i) {
        const __m256i words = _mm256_slli_epi16(_mm256_loadu_si256(to + i), 8);
        _mm256_storeu_si256(to + i, _mm256_srai_epi16(words, 8));
    }
}

/* Four rows, as bytes. */
QIR_AVX2 static QIR_INLINE void qir_depthwise_avxvnni_join(const uint8_t *const *rows, __m256i *to) {
    const __m256i a = qir_depthwise_avx2_load(rows[0]), b = qir_depthwise_avx2_load(rows[1]);
    const __m256i c = qir_depthwise_avx2_load(rows[2]), d = qir_depthwise_avx2_load(rows[3]);
    const __m256i ab = _mm256_unpacklo_epi8(a, b), ab2 = _mm256_unpackhi_epi8(a, b);
    const __m256i cd = _mm256_unpacklo_epi8(c, d), cd2 = _mm256_unpackhi_epi8(c, d);
    _mm256_storeu_si256(to, _mm256_unpacklo_epi16(ab, cd));
    _mm256_storeu_si256(to + 1, _mm256_unpackhi_epi16(ab, cd));
    _mm256_storeu_si256(to + 2, _mm256_unpacklo_epi16(ab2, cd2));
    _mm256_storeu_si256(to + 3, _mm256_unpackhi_epi16(ab2, cd2));
}

#endif
