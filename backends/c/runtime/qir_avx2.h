/* Accumulators to results, eight by eight, as qir_store_u8 and qir_store_f32 do it for one: first to reals, then, where
   results are codes, these to codes. */
#ifndef QIR_AVX2_H
#define QIR_AVX2_H

#include "qir_x86.h"

/* sum += two products of 16 bits a lane. Told the order compilers need one register less, the sixteenth. Twice, with the
   weights of two vectors, both are multiplied before one is added, which keeps more units at work, and codes change. */
#if defined(__GNUC__)
#define QIR_DOT2(sum, codes, weights)                             \
    do {                                                          \
        __m256i products;                                         \
        __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"        \
                : "+x"(sum), "=&x"(products)                      \
                : "x"(codes), "x"(weights));                      \
    } while (0)
#define QIR_DOT2_TWICE(sum, next, codes, weights, beside)                              \
    do {                                                                               \
        __m256i products;                                                              \
        __asm__("vpmaddwd %4, %2, %3\n\tvpmaddwd %5, %2, %2\n\t"                       \
                "vpaddd %3, %0, %0\n\tvpaddd %2, %1, %1"                               \
                : "+x"(sum), "+x"(next), "+x"(codes), "=&x"(products)                  \
                : "x"(weights), "x"(beside));                                          \
    } while (0)
#else
#define QIR_DOT2(sum, codes, weights) ((sum) = _mm256_add_epi32(sum, _mm256_madd_epi16(codes, weights)))
#define QIR_DOT2_TWICE(sum, next, codes, weights, beside) \
    (QIR_DOT2(sum, codes, weights), QIR_DOT2(next, codes, beside))
#endif

/* sum += the products of two steps with half as many multiplications (qir_woven.h), which change the codes; or two sums of
   the same codes, with the weights of two vectors. */
#if defined(__GNUC__)
#define QIR_DOT_CROSSED(sum, codes, codes2, weights, weights2)                                         \
    __asm__("vpaddw %4, %1, %1\n\tvpaddw %3, %2, %2\n\tvpmaddwd %2, %1, %1\n\tvpaddd %1, %0, %0"       \
            : "+x"(sum), "+x"(codes), "+x"(codes2)                                                     \
            : "x"(weights), "x"(weights2))
#define QIR_DOT_CROSSED_TWICE(sum, next, codes, codes2, weights, weights2, beside, beside2)            \
    do {                                                                                               \
        __m256i products, products2;                                                                   \
        __asm__("vpaddw %7, %2, %4\n\tvpaddw %6, %3, %5\n\tvpaddw %9, %2, %2\n\tvpaddw %8, %3, %3\n\t" \
                "vpmaddwd %5, %4, %4\n\tvpmaddwd %3, %2, %2\n\tvpaddd %4, %0, %0\n\tvpaddd %2, %1, %1" \
                : "+x"(sum), "+x"(next), "+x"(codes), "+x"(codes2), "=&x"(products), "=&x"(products2)  \
                : "x"(weights), "x"(weights2), "x"(beside), "x"(beside2));                             \
    } while (0)
#else
#define QIR_DOT_CROSSED(sum, codes, codes2, weights, weights2)                                         \
    QIR_DOT2(sum, _mm256_add_epi16(codes, weights2), _mm256_add_epi16(codes2, weights))
#define QIR_DOT_CROSSED_TWICE(sum, next, codes, codes2, weights, weights2, beside, beside2)            \
    do {                                                                                               \
        QIR_DOT_CROSSED(sum, codes, codes2, weights, weights2);                                        \
        QIR_DOT_CROSSED(next, codes, codes2, beside, beside2);                                         \
    } while (0)
#endif

/* The offsets of two rows of woven codes: sums less the products of, of every four codes of 16 bits, the first two with the
   last two; less each of them twice. Then the sums of two rows, each from the lanes that hold different ones. */
QIR_AVX2 static QIR_INLINE __m256i qir_less_crossed(__m256i words, __m256i sums) {
    return _mm256_sub_epi32(sums, _mm256_madd_epi16(words, _mm256_shuffle_epi32(words, _MM_SHUFFLE(2, 3, 0, 1))));
}

QIR_AVX2 static QIR_INLINE void qir_put_offsets(__m256i sums, int32_t *offset) {
    const __m256i all = _mm256_add_epi32(sums, _mm256_unpackhi_epi64(sums, sums));
    _mm_storel_epi64((__m128i *)(void *)offset,
                     _mm_unpacklo_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1)));
}

/* sum += four products a lane, codes unsigned and weights signed, encoded for AVX-VNNI. As builtin gcc copies every sum
   before and after. */
#if defined(__GNUC__)
#define QIR_DOT4_AVX(sum, codes, weights) \
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(codes), "x"(weights))
#else
#define QIR_DOT4_AVX(sum, codes, weights) ((sum) = _mm256_dpbusd_avx_epi32(sum, codes, weights))
#endif

/* sum += four products a lane by vpmaddubsw, which adds two neighbouring ones in 16 bits; or eight, of which two more are
   added there. Only for weights that are proven to keep these sums within 16 bits whatever the codes are. Compilers
   find the registers where they are told the order, and leave the ones in memory. */
#if defined(__GNUC__)
QIR_AVX2 static QIR_INLINE const __m256i *qir_avx2_ones(void) {
    static const __m256i ones = {0x1000100010001, 0x1000100010001, 0x1000100010001, 0x1000100010001};
    return &ones;
}

#define QIR_DOT_PAIRS(sum, codes, weights)                                          \
    do {                                                                            \
        __m256i products;                                                           \
        __asm__("vpmaddubsw %3, %2, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0" \
                : "+x"(sum), "=&x"(products)                                        \
                : "x"(codes), "x"(weights), "m"(*qir_avx2_ones()));                 \
    } while (0)
#define QIR_DOT_FOURS(sum, codes, weights)                                                              \
    do {                                                                                                \
        __m256i products, others;                                                                       \
        __asm__("vpmaddubsw %5, %3, %1\n\tvpmaddubsw %6, %4, %2\n\tvpaddw %2, %1, %1\n\t"               \
                "vpmaddwd %7, %1, %1\n\tvpaddd %1, %0, %0"                                              \
                : "+x"(sum), "=&x"(products), "=&x"(others)                                             \
                : "x"((codes).first), "x"((codes).second), "x"((weights).first), "x"((weights).second), \
                  "m"(*qir_avx2_ones()));                                                               \
    } while (0)
#else
#define QIR_DOT_PAIRS(sum, codes, weights) ((sum) = qir_avx2_add_pairs(sum, _mm256_maddubs_epi16(codes, weights)))
#define QIR_DOT_FOURS(sum, codes, weights)                                                                             \
    ((sum) = qir_avx2_add_pairs(sum, _mm256_add_epi16(_mm256_maddubs_epi16((codes).first, (weights).first),            \
                                                      _mm256_maddubs_epi16((codes).second, (weights).second))))

QIR_AVX2 static QIR_INLINE __m256i qir_avx2_add_pairs(__m256i sum, __m256i products) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(products, _mm256_set1_epi16(1)));
}
#endif

/* Four codes and the next four, each spread over a vector; or the weights for them. */
typedef struct {
    __m256i first;
    __m256i second;
} qir_avx2_eight;

QIR_AVX2 static QIR_INLINE __m256i qir_avx2_take_four(const uint8_t *x) {
    return _mm256_set1_epi32(qir_four_bytes(x));
}

QIR_AVX2 static QIR_INLINE qir_avx2_eight qir_avx2_take_eight(const uint8_t *x) {
    qir_avx2_eight codes;
    codes.first = _mm256_set1_epi32(qir_four_bytes(x));
    codes.second = _mm256_set1_epi32(qir_four_bytes(x + 4));
    return codes;
}

/* What the vectors of a product are read with: sums, and weights as they are or widened to 16 bits. */
QIR_AVX2 static QIR_INLINE __m256i qir_avx2_vector(const void *from) {
    return _mm256_loadu_si256((const __m256i *)from);
}

QIR_AVX2 static QIR_INLINE __m256i qir_avx2_widened(const int8_t *from) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

/* Eight channels' first four weights of a step, and, behind the sixteen of a panel, their last four. */
QIR_AVX2 static QIR_INLINE qir_avx2_eight qir_avx2_fours(const int8_t *from) {
    qir_avx2_eight weights;
    weights.first = qir_avx2_vector(from);
    weights.second = qir_avx2_vector(from + 64);
    return weights;
}

typedef struct {
    __m256 high;
    __m256i zero_point; /* 16-bit lanes */
    __m256i least;      /* qmin in bytes */
} qir_requant8;

QIR_AVX2 static QIR_INLINE qir_requant8 qir_widen_requant8(const qir_requant *q) {
    qir_requant8 wide;
    wide.high = _mm256_set1_ps((float)q->high);
    wide.zero_point = _mm256_set1_epi16((int16_t)q->zero_point);
    wide.least = _mm256_set1_epi8((char)(q->low + q->zero_point));
    return wide;
}

/* Eight sums of products as reals, in units of the result's scale where that is codes. */
QIR_AVX2 static QIR_INLINE __m256 qir_avx2_scaled(__m256i acc, __m256 multiplier) {
    return _mm256_mul_ps(_mm256_cvtepi32_ps(acc), multiplier);
}

/* Codes without their zero point in 32-bit lanes, clamped above only: the bound is an integer, so it may stand before
   the conversion, which rounds halves to even. What lies below int32 becomes the least int32. Of two operands, one of
   them NaN, vminps takes the second; the conversion makes the least int32 of NaN, and packing qmin. */
QIR_AVX2 static QIR_INLINE __m256i qir_steps8(__m256 real, qir_requant8 q) {
    return _mm256_cvtps_epi32(_mm256_min_ps(q.high, real));
}

/* Two vectors of steps as 16-bit lanes, with the zero point. Saturation keeps what is far below zero there, so that
   packing to bytes makes it 0 and `least` clamps it. Packing goes by halves of 128 bits: lanes 0..3 of first, 0..3 of
   second, 4..7 of first, 4..7 of second. */
QIR_AVX2 static QIR_INLINE __m256i qir_codes16(__m256i first, __m256i second, qir_requant8 q) {
    return _mm256_adds_epi16(_mm256_packs_epi32(first, second), q.zero_point);
}

/* Steps 0..7 and 8..15 as bytes: they come as 0..3, 8..11, 4..7, 12..15 and are put in order. */
QIR_AVX2 static QIR_INLINE __m128i qir_codes_in_order(__m256i first, __m256i second, qir_requant8 q) {
    const __m256i both = qir_codes16(first, second, q);
    const __m128i codes = _mm_packus_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    const __m128i clamped = _mm_max_epu8(codes, _mm256_castsi256_si128(q.least));
    return _mm_shuffle_epi32(clamped, _MM_SHUFFLE(3, 1, 2, 0));
}

/* Sixteen neighbours, or one repeated. */
QIR_AVX2 static QIR_INLINE __m128i qir_neighbours16(const uint8_t *from, int32_t step) {
    return step ? _mm_loadu_si128((const __m128i *)(const void *)from) : _mm_set1_epi8((char)*from);
}

/* Sixteen reals as codes or as they are. */
QIR_AVX2 static QIR_INLINE void qir_avx2_reals16_u8(__m256 first, __m256 second, qir_requant8 q, uint8_t *y) {
    _mm_storeu_si128((__m128i *)(void *)y, qir_codes_in_order(qir_steps8(first, q), qir_steps8(second, q), q));
}

QIR_AVX2 static QIR_INLINE void qir_avx2_reals16_f32(__m256 first, __m256 second, qir_requant8 q, float *y) {
    (void)q;
    _mm256_storeu_ps(y, first);
    _mm256_storeu_ps(y + 8, second);
}

QIR_AVX2 static QIR_INLINE void qir_avx2_store16_u8(__m256i first, __m256i second, __m256 scale, __m256 scale2,
                                                    qir_requant8 q, uint8_t *y) {
    qir_avx2_reals16_u8(qir_avx2_scaled(first, scale), qir_avx2_scaled(second, scale2), q, y);
}

QIR_AVX2 static QIR_INLINE void qir_avx2_store16_f32(__m256i first, __m256i second, __m256 scale, __m256 scale2,
                                                     qir_requant8 q, float *y) {
    qir_avx2_reals16_f32(qir_avx2_scaled(first, scale), qir_avx2_scaled(second, scale2), q, y);
}

/* Four vectors of steps as bytes, one vector after the other: packing leaves four bytes of each in either half. */
QIR_AVX2 static QIR_INLINE __m256i qir_avx2_bytes(__m256i a, __m256i b, __m256i c, __m256i d, qir_requant8 q) {
    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(qir_codes16(a, b, q), qir_codes16(c, d, q)),
                                       _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

QIR_AVX2 static QIR_INLINE __m256i qir_avx2_codes(__m256 a, __m256 b, __m256 c, __m256 d, qir_requant8 q) {
    return _mm256_max_epu8(
        qir_avx2_bytes(qir_steps8(a, q), qir_steps8(b, q), qir_steps8(c, q), qir_steps8(d, q), q), q.least);
}

/* The same where every code is a result and the reals are known to fit int32: packing alone saturates. */
QIR_AVX2 static QIR_INLINE __m256i qir_avx2_codes_whole(__m256 a, __m256 b, __m256 c, __m256 d, qir_requant8 q) {
    return qir_avx2_bytes(_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b), _mm256_cvtps_epi32(c), _mm256_cvtps_epi32(d),
                          q);
}

/* Four rows of eight. */
QIR_AVX2 static QIR_INLINE void qir_avx2_put_four(__m256i codes, uint8_t *y0, uint8_t *y1, uint8_t *y2, uint8_t *y3) {
    const __m128i low = _mm256_castsi256_si128(codes), high = _mm256_extracti128_si256(codes, 1);
    _mm_storel_epi64((__m128i *)(void *)y0, low);
    _mm_storel_epi64((__m128i *)(void *)y1, _mm_unpackhi_epi64(low, low));
    _mm_storel_epi64((__m128i *)(void *)y2, high);
    _mm_storel_epi64((__m128i *)(void *)y3, _mm_unpackhi_epi64(high, high));
}

QIR_AVX2 static QIR_INLINE void qir_avx2_four_u8(__m256 a, __m256 b, __m256 c, __m256 d, qir_requant8 q, uint8_t *y0,
                                                 uint8_t *y1, uint8_t *y2, uint8_t *y3) {
    qir_avx2_put_four(qir_avx2_codes(a, b, c, d, q), y0, y1, y2, y3);
}

QIR_AVX2 static QIR_INLINE void qir_avx2_four_whole_u8(__m256 a, __m256 b, __m256 c, __m256 d, qir_requant8 q,
                                                       uint8_t *y0, uint8_t *y1, uint8_t *y2, uint8_t *y3) {
    qir_avx2_put_four(qir_avx2_codes_whole(a, b, c, d, q), y0, y1, y2, y3);
}

QIR_AVX2 static QIR_INLINE void qir_avx2_four_f32(__m256 a, __m256 b, __m256 c, __m256 d, qir_requant8 q, float *y0,
                                                  float *y1, float *y2, float *y3) {
    (void)q;
    _mm256_storeu_ps(y0, a);
    _mm256_storeu_ps(y1, b);
    _mm256_storeu_ps(y2, c);
    _mm256_storeu_ps(y3, d);
}

/* Two rows of sixteen. */
QIR_AVX2 static QIR_INLINE void qir_avx2_put_pair(__m256i codes, uint8_t *y0, uint8_t *y1) {
    _mm_storeu_si128((__m128i *)(void *)y0, _mm256_castsi256_si128(codes));
    _mm_storeu_si128((__m128i *)(void *)y1, _mm256_extracti128_si256(codes, 1));
}

QIR_AVX2 static QIR_INLINE void qir_avx2_pair_u8(__m256 a, __m256 b, __m256 c, __m256 d, qir_requant8 q, uint8_t *y0,
                                                 uint8_t *y1) {
    qir_avx2_put_pair(qir_avx2_codes(a, b, c, d, q), y0, y1);
}

QIR_AVX2 static QIR_INLINE void qir_avx2_pair_whole_u8(__m256 a, __m256 b, __m256 c, __m256 d, qir_requant8 q,
                                                       uint8_t *y0, uint8_t *y1) {
    qir_avx2_put_pair(qir_avx2_codes_whole(a, b, c, d, q), y0, y1);
}

QIR_AVX2 static QIR_INLINE void qir_avx2_pair_f32(__m256 a, __m256 b, __m256 c, __m256 d, qir_requant8 q, float *y0,
                                                  float *y1) {
    qir_avx2_four_f32(a, b, c, d, q, y0, y0 + 8, y1, y1 + 8);
}

/* One row of thirty-two. */
QIR_AVX2 static QIR_INLINE void qir_avx2_row_u8(__m256 a, __m256 b, __m256 c, __m256 d, qir_requant8 q, uint8_t *y) {
    _mm256_storeu_si256((__m256i *)(void *)y, qir_avx2_codes(a, b, c, d, q));
}

QIR_AVX2 static QIR_INLINE void qir_avx2_row_whole_u8(__m256 a, __m256 b, __m256 c, __m256 d, qir_requant8 q,
                                                      uint8_t *y) {
    _mm256_storeu_si256((__m256i *)(void *)y, qir_avx2_codes_whole(a, b, c, d, q));
}

QIR_AVX2 static QIR_INLINE void qir_avx2_row_f32(__m256 a, __m256 b, __m256 c, __m256 d, qir_requant8 q, float *y) {
    qir_avx2_four_f32(a, b, c, d, q, y, y + 8, y + 16, y + 24);
}

/* The first `count` of up to sixteen results. */
QIR_AVX2 static QIR_INLINE void qir_avx2_first_u8(const uint8_t *part, int32_t count, uint8_t *y) {
    qir_part16_u8(part, 1, count, y, 0);
}

QIR_AVX2 static QIR_INLINE void qir_avx2_first_f32(const float *part, int32_t count, float *y) {
    qir_part16_f32(part, 1, count, y, 0);
}

#endif
