/* Weights of 1 to 5 bits on AVX-512, stored as qir_few_avx2.h has them. */
#ifndef QIR_FEW_AVX512_H
#define QIR_FEW_AVX512_H

#include "qir_x86.h"

/* 64 codes in 1, 2 or 4 bits, as stored: each part of the vector shifts its own ones down. */
QIR_AVX512VNNI static QIR_INLINE __m512i qir_avx512_field(const uint8_t *from, int32_t bits) {
    if (bits == 4) {
        const __m512i all = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)from));
        const __m512i down = _mm512_setr_epi64(0, 0, 0, 0, 4, 4, 4, 4);
        return _mm512_and_si512(_mm512_srlv_epi64(all, down), _mm512_set1_epi8(15));
    }
    if (bits == 2) {
        const __m512i all = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)from));
        const __m512i down = _mm512_setr_epi64(0, 0, 2, 2, 4, 4, 6, 6);
        return _mm512_and_si512(_mm512_srlv_epi64(all, down), _mm512_set1_epi8(3));
    } else {
        const __m512i all = _mm512_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(const void *)from));
        const __m512i down = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
        return _mm512_and_si512(_mm512_srlv_epi64(all, down), _mm512_set1_epi8(1));
    }
}

/* Codes as stored of any number of bits; of halves, which narrower vectors take, all are the first. */
QIR_AVX512VNNI static QIR_INLINE __m512i qir_avx512_few(const uint8_t *from, int32_t bits, int32_t half) {
    const int32_t lower = bits == 3 || bits == 5 ? bits - 1 : bits;
    const __m512i codes = qir_avx512_field(from, lower);
    (void)half;
    if (bits > lower) {
        const __m512i upper = qir_avx512_field(from + 8 * lower, 1);
        return _mm512_or_si512(codes, lower == 2 ? _mm512_slli_epi16(upper, 2) : _mm512_slli_epi16(upper, 4));
    }
    return codes;
}

/* Writes `panels` times `groups` times 64 codes as int8. */
QIR_AVX512VNNI static QIR_INLINE void qir_avx512_unpack(const uint8_t *from, int32_t bits, int32_t panels,
                                                        ptrdiff_t groups, int8_t *to) {
    const __m512i zero = _mm512_set1_epi8((char)(1 << (bits - 1)));
    for (groups *= panels; groups; --groups, from += 8 * bits, to += 64) {
        const __m512i codes = qir_avx512_few(from, bits, 0);
        _mm512_storeu_si512(to, _mm512_sub_epi8(bits == 1 ? _mm512_add_epi8(codes, codes) : codes, zero));
    }
}

/* Sums of planes of sixteen channels, four codes each as stored; tables as for AVX2. */
QIR_AVX512VNNI static QIR_INLINE __m512i qir_avx512_sum_of_planes(__m512i codes, int32_t planes, const uint8_t *tables) {
    const __m512i channel = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
    const __m512i first = _mm512_loadu_si512(tables);
    if (planes > 2) {
        const __m512i low = _mm512_and_si512(codes, _mm512_set1_epi8(3));
        const __m512i high = _mm512_and_si512(_mm512_srli_epi16(codes, 2), _mm512_set1_epi8(3));
        return _mm512_add_epi8(_mm512_shuffle_epi8(first, _mm512_or_si512(low, channel)),
                               _mm512_shuffle_epi8(_mm512_loadu_si512(tables + 64), _mm512_or_si512(high, channel)));
    }
    return _mm512_shuffle_epi8(first, _mm512_or_si512(codes, channel));
}

/* Writes `panels` times `groups` times 64 sums of planes as int8; each panel begins with its tables. */
QIR_AVX512VNNI static QIR_INLINE void qir_avx512_unpack_planes(const uint8_t *from, int32_t planes, int32_t panels,
                                                               ptrdiff_t groups, int8_t *to) {
    ptrdiff_t group;
    for (; panels; --panels) {
        const uint8_t *const tables = from;
        from += planes > 2 ? 128 : 64;
        for (group = 0; group < groups; ++group, from += 8 * planes, to += 64) {
            _mm512_storeu_si512(to, qir_avx512_sum_of_planes(qir_avx512_few(from, planes, 0), planes, tables));
        }
    }
}

#endif
