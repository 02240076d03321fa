/* Weights of 1 to 5 bits on AVX2: 64 codes take 8 b bytes. Of 1, 2 and 4 bits code 8 b j + i lies in bits b j .. b j + b - 1
   of byte i; 3 and 5 bits are the lower 2 or 4 so, then the upper one. A code is stored as code + 2^(b-1), one bit set
   for 1 and clear for -1. `bits` is constant wherever these functions are inlined. */
#ifndef QIR_FEW_AVX2_H
#define QIR_FEW_AVX2_H

#include "qir_x86.h"

/* sum += two products a lane of 16 bits. Where no weight is larger than m two products are at most 255 * 2 m in size, and
   64 / m steps fit: 64 * 255 * 2 = 32640. gcc finds the registers where it is told the order. */
#if defined(__GNUC__) && !defined(__clang__)
#define QIR_DOT_RUN(sum, codes, weights)                   \
    do {                                                   \
        __m256i products;                                  \
        __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" \
                : "+x"(sum), "=&x"(products)               \
                : "x"(codes), "x"(weights));               \
    } while (0)
#else
#define QIR_DOT_RUN(sum, codes, weights) ((sum) = _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, weights)))
#endif

/* Runs of as many steps, of tiles of n pixels by one or two vectors a, b: their sums are of 16 bits, and are added to
   those of 32 after each run. */
#define QIR_SHORT_RUNS(n, most, keep, zero)     \
    __m256i sums[2 * n];                        \
    int32_t left = steps;                       \
    QIR_EACH_##n(keep) do {                     \
        steps = left < (most) ? left : (most);  \
        left -= steps;                          \
        QIR_EACH_##n(zero)
#define QIR_SHORT_RUNS_END(n, add, give) \
    QIR_EACH_##n(add) } while (left);    \
    QIR_EACH_##n(give)
#define QIR_RUN_KEEP1(i) sums[i] = a##i;
#define QIR_RUN_KEEP2(i) sums[2 * i] = a##i, sums[2 * i + 1] = b##i;
#define QIR_RUN_ZERO1(i) a##i = _mm256_setzero_si256();
#define QIR_RUN_ZERO2(i) a##i = b##i = _mm256_setzero_si256();
#define QIR_RUN_ADD1(i) sums[i] = qir_avx2_joined(sums[i], a##i);
#define QIR_RUN_ADD2(i) \
    sums[2 * i] = qir_avx2_joined(sums[2 * i], a##i), sums[2 * i + 1] = qir_avx2_joined(sums[2 * i + 1], b##i);
#define QIR_RUN_GIVE1(i) a##i = sums[i];
#define QIR_RUN_GIVE2(i) a##i = sums[2 * i], b##i = sums[2 * i + 1];
#define QIR_SHORT_RUNS1(n, most) QIR_SHORT_RUNS(n, most, QIR_RUN_KEEP1, QIR_RUN_ZERO1)
#define QIR_SHORT_RUNS2(n, most) QIR_SHORT_RUNS(n, most, QIR_RUN_KEEP2, QIR_RUN_ZERO2)
#define QIR_SHORT_RUNS1_END(n) QIR_SHORT_RUNS_END(n, QIR_RUN_ADD1, QIR_RUN_GIVE1)
#define QIR_SHORT_RUNS2_END(n) QIR_SHORT_RUNS_END(n, QIR_RUN_ADD2, QIR_RUN_GIVE2)

QIR_AVX2 static QIR_INLINE __m256i qir_avx2_joined(__m256i sum, __m256i pairs) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* Codes 32 half .. 32 half + 31 of 64 in 1, 2 or 4 bits, as stored: each part of the vector shifts its own ones down. */
QIR_AVX2 static QIR_INLINE __m256i qir_avx2_field(const uint8_t *from, int32_t bits, int32_t half) {
    if (bits == 4) {
        const __m256i all = _mm256_loadu_si256((const __m256i *)(const void *)from);
        return _mm256_and_si256(half ? _mm256_srli_epi16(all, 4) : all, _mm256_set1_epi8(15));
    }
    if (bits == 2) {
        const __m256i all = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)from));
        const __m256i down = _mm256_add_epi64(_mm256_setr_epi64x(0, 0, 2, 2), _mm256_set1_epi64x(half * 4));
        return _mm256_and_si256(_mm256_srlv_epi64(all, down), _mm256_set1_epi8(3));
    } else {
        const __m256i all = _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(const void *)from));
        const __m256i down = _mm256_add_epi64(_mm256_setr_epi64x(0, 1, 2, 3), _mm256_set1_epi64x(half * 4));
        return _mm256_and_si256(_mm256_srlv_epi64(all, down), _mm256_set1_epi8(1));
    }
}

/* Codes as stored of any number of bits. */
QIR_AVX2 static QIR_INLINE __m256i qir_avx2_few(const uint8_t *from, int32_t bits, int32_t half) {
    const int32_t lower = bits == 3 || bits == 5 ? bits - 1 : bits;
    const __m256i codes = qir_avx2_field(from, lower, half);
    return lower == bits ? codes
                         : _mm256_or_si256(codes, _mm256_slli_epi16(qir_avx2_field(from + 8 * lower, 1, half), lower));
}

/* Writes `panels` times `groups` times 64 codes as int8. */
QIR_AVX2 static QIR_INLINE void qir_avx2_unpack(const uint8_t *from, int32_t bits, int32_t panels, ptrdiff_t groups,
                                                int8_t *to) {
    const __m256i zero = _mm256_set1_epi8((char)(1 << (bits - 1)));
    int32_t half;
    for (groups *= panels; groups; --groups, from += 8 * bits) {
        for (half = 0; half < 2; ++half, to += 32) {
            const __m256i codes = qir_avx2_few(from, bits, half);
            const __m256i twice = bits == 1 ? _mm256_add_epi8(codes, codes) : codes;
            _mm256_storeu_si256((__m256i *)(void *)to, _mm256_sub_epi8(twice, zero));
        }
    }
}

/* Sums of planes of eight channels, four codes each as stored. Tables hold the four numbers that the first two planes of
   a channel make, and 64 bytes on those of the others: a look-up in 16 bytes serves four channels. */
QIR_AVX2 static QIR_INLINE __m256i qir_avx2_sum_of_planes(__m256i codes, int32_t planes, const uint8_t *tables) {
    const __m256i channel = _mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    const __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)tables);
    if (planes > 2) {
        const __m256i low = _mm256_and_si256(codes, _mm256_set1_epi8(3));
        const __m256i high = _mm256_and_si256(_mm256_srli_epi16(codes, 2), _mm256_set1_epi8(3));
        const __m256i others = _mm256_loadu_si256((const __m256i *)(const void *)(tables + 64));
        return _mm256_add_epi8(_mm256_shuffle_epi8(first, _mm256_or_si256(low, channel)),
                               _mm256_shuffle_epi8(others, _mm256_or_si256(high, channel)));
    }
    return _mm256_shuffle_epi8(first, _mm256_or_si256(codes, channel));
}

/* Writes `panels` times `groups` times 64 sums of planes as int8; each panel begins with its tables. */
QIR_AVX2 static QIR_INLINE void qir_avx2_unpack_planes(const uint8_t *from, int32_t planes, int32_t panels,
                                                       ptrdiff_t groups, int8_t *to) {
    ptrdiff_t group;
    for (; panels; --panels) {
        const uint8_t *const tables = from;
        from += planes > 2 ? 128 : 64;
        for (group = 0; group < groups; ++group, from += 8 * planes, to += 64) {
            const __m256i half = qir_avx2_few(from, planes, 0), other = qir_avx2_few(from, planes, 1);
            _mm256_storeu_si256((__m256i *)(void *)to, qir_avx2_sum_of_planes(half, planes, tables));
            _mm256_storeu_si256((__m256i *)(void *)(to + 32), qir_avx2_sum_of_planes(other, planes, tables + 32));
        }
    }
}

#endif
