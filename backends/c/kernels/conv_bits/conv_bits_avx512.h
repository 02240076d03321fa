/* Ones counted by vpopcntd on AVX-512: lanes are 16 channels, a step is 32 bits of each. */
#ifndef QIR_CONV_BITS_AVX512_H
#define QIR_CONV_BITS_AVX512_H

#include "../../runtime/qir_avx512.h"
#include "conv_bits_results.h"

static QIR_INLINE qir_bits_rows qir_bits_avx512_arranged(const uint8_t *from, int32_t rows, int32_t planes,
                                                         ptrdiff_t size, uint8_t *to) {
    const qir_bits_rows arranged = {from, planes * size, size};
    (void)rows;
    (void)to;
    return arranged;
}

#define QIR_AVX512_BITS_BEGIN(i)                           \
    const uint8_t *const x##i = count->x + (i)*count->row; \
    __m512i a##i = _mm512_setzero_si512();
#define QIR_AVX512_BITS_STEP(i, join)                                        \
    a##i = _mm512_add_epi32(a##i, _mm512_popcnt_epi32(_mm512_##join##_si512( \
                                      bits, _mm512_set1_epi32(qir_four_bytes(x##i + at)))));
#define QIR_AVX512_BITS_XOR(i) QIR_AVX512_BITS_STEP(i, xor)
#define QIR_AVX512_BITS_AND(i) QIR_AVX512_BITS_STEP(i, and)
#define QIR_AVX512_BITS_END(i)                                                                                        \
    _mm512_storeu_si512(sums + (i)*count->pitch, _mm512_add_epi32(_mm512_loadu_si512(count->start + (i)*count->step), \
                                                                  _mm512_mullo_epi32(a##i, factor)));

#define QIR_AVX512_BITS(name, n, step)                                                                                 \
    QIR_AVX512VPOPCNTDQ QIR_ALONE static void qir_bits_avx512_##name##n(const qir_bits_count *count, const uint8_t *w, \
                                                                        int32_t *sums) {                               \
        const __m512i factor = _mm512_set1_epi32(count->factor);                                                       \
        const ptrdiff_t last = 4 * (ptrdiff_t)count->steps;                                                            \
        ptrdiff_t at;                                                                                                  \
        QIR_EACH_##n(QIR_AVX512_BITS_BEGIN) for (at = 0; at < last; at += 4, w += 64) {                                \
            const __m512i bits = _mm512_loadu_si512(w);                                                                \
            QIR_EACH_##n(step)                                                                                         \
        }                                                                                                              \
        QIR_EACH_##n(QIR_AVX512_BITS_END)                                                                              \
    }

QIR_AVX512_BITS(xor, 1, QIR_AVX512_BITS_XOR) QIR_AVX512_BITS(xor, 4, QIR_AVX512_BITS_XOR)
QIR_AVX512_BITS(and, 1, QIR_AVX512_BITS_AND) QIR_AVX512_BITS(and, 4, QIR_AVX512_BITS_AND)

QIR_AVX512VPOPCNTDQ static QIR_INLINE __m512 qir_bits_avx512_reals(const int32_t *sums, const float *multiplier) {
    return qir_avx512_scaled(_mm512_loadu_si512(sums), _mm512_loadu_ps(multiplier));
}

/* 64 results. */
QIR_AVX512VPOPCNTDQ static QIR_INLINE void qir_bits_avx512_row_u8(const int32_t *sums, const float *multiplier,
                                                                  qir_requant16 q, uint8_t *y) {
    qir_avx512_row_u8(qir_bits_avx512_reals(sums, multiplier), qir_bits_avx512_reals(sums + 16, multiplier + 16),
                      qir_bits_avx512_reals(sums + 32, multiplier + 32),
                      qir_bits_avx512_reals(sums + 48, multiplier + 48), q, y);
}

QIR_AVX512VPOPCNTDQ static QIR_INLINE void qir_bits_avx512_row_f32(const int32_t *sums, const float *multiplier,
                                                                   qir_requant16 q, float *y) {
    qir_avx512_row_f32(qir_bits_avx512_reals(sums, multiplier), qir_bits_avx512_reals(sums + 16, multiplier + 16),
                       qir_bits_avx512_reals(sums + 32, multiplier + 32),
                       qir_bits_avx512_reals(sums + 48, multiplier + 48), q, y);
}

QIR_AVX512VPOPCNTDQ static QIR_INLINE uint64_t qir_bits_avx512_reached16(const int32_t *sums,
                                                                         const int32_t *threshold) {
    return _mm512_cmpge_epi32_mask(_mm512_loadu_si512(sums), _mm512_loadu_si512(threshold));
}

/* A bit for each of 64 sums: whether it reaches its threshold. */
QIR_AVX512VPOPCNTDQ static QIR_INLINE uint64_t qir_bits_avx512_reached(const int32_t *sums, const int32_t *threshold) {
    return qir_bits_avx512_reached16(sums, threshold) | qir_bits_avx512_reached16(sums + 16, threshold + 16) << 16 |
           qir_bits_avx512_reached16(sums + 32, threshold + 32) << 32 |
           qir_bits_avx512_reached16(sums + 48, threshold + 48) << 48;
}

/* 64 codes: y_low + y_step * thresholds that are reached. */
QIR_AVX512VPOPCNTDQ static QIR_INLINE void qir_bits_avx512_group(const qir_conv_bits_shape *s, const int32_t *sums,
                                                                   const int32_t *threshold, ptrdiff_t pitch,
                                                                   uint8_t *y) {
    const __m512i step = _mm512_set1_epi8((char)s->y_step);
    __m512i codes = _mm512_set1_epi8((char)s->y_low);
    int32_t level;
    for (level = 1; level < s->levels; ++level, threshold += pitch) {
        codes = _mm512_mask_add_epi8(codes, qir_bits_avx512_reached(sums, threshold), codes, step);
    }
    _mm512_storeu_si512(y, codes);
}

QIR_BITS_RESULTS(avx512, QIR_AVX512VPOPCNTDQ, 64, qir_requant16, qir_widen_requant16)

#endif
