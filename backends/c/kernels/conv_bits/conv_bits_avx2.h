/* Ones counted by table on AVX2: lanes are 32 channels, a step is a byte of each.

   vpshufb looks up, for four bits of the weights in every lane, how many ones they have with four bits of x: these
   choose one of 16 tables, through which all weights of a step go. So two lookups and two sums of bytes are what 256
   products take: neither are bits joined nor ones counted by arithmetic. A lookup gives at most 4: after 62 of them
   lanes of bytes, at most 248, are widened to 16 bits. */
#ifndef QIR_CONV_BITS_AVX2_H
#define QIR_CONV_BITS_AVX2_H

#include "../../runtime/qir_avx2.h"
#include "conv_bits_results.h"

#define QIR_ONES4(v) (((v) & 1) + ((v) >> 1 & 1) + ((v) >> 2 & 1) + ((v) >> 3 & 1))
#define QIR_TABLE4(join, a, b) \
    QIR_ONES4((a) join (b)), QIR_ONES4((a) join (b + 1)), QIR_ONES4((a) join (b + 2)), QIR_ONES4((a) join (b + 3))
#define QIR_TABLE16(join, a) \
    QIR_TABLE4(join, a, 0), QIR_TABLE4(join, a, 4), QIR_TABLE4(join, a, 8), QIR_TABLE4(join, a, 12)
#define QIR_TABLE64(join, a) \
    QIR_TABLE16(join, a), QIR_TABLE16(join, a + 1), QIR_TABLE16(join, a + 2), QIR_TABLE16(join, a + 3)
#define QIR_TABLE256(join) QIR_TABLE64(join, 0), QIR_TABLE64(join, 4), QIR_TABLE64(join, 8), QIR_TABLE64(join, 12)

/* [four bits of x][four bits of a weight]: ones of both joined. */
static QIR_INLINE const uint8_t *qir_bits_avx2_xor(void) {
    static const uint8_t tables[256] = {QIR_TABLE256(^)};
    return tables;
}

static QIR_INLINE const uint8_t *qir_bits_avx2_and(void) {
    static const uint8_t tables[256] = {QIR_TABLE256(&)};
    return tables;
}

/* Where in the tables, in bytes, the low and the high four bits of each byte find theirs. */
QIR_AVX2 static QIR_INLINE qir_bits_rows qir_bits_avx2_arranged(const uint8_t *from, int32_t rows, int32_t planes,
                                                                ptrdiff_t size, uint8_t *to) {
    const qir_bits_rows arranged = {to, 2 * planes * size, 2 * size};
    const __m128i mask = _mm_set1_epi8((char)0xf0);
    const uint8_t *const last = from + rows * planes * size;
    for (; from < last; from += 8, to += 16) {
        const __m128i v = _mm_loadl_epi64((const __m128i *)(const void *)from);
        const __m128i low = _mm_and_si128(_mm_slli_epi16(v, 4), mask);
        _mm_storeu_si128((__m128i *)(void *)to, _mm_unpacklo_epi8(low, _mm_and_si128(v, mask)));
    }
    return arranged;
}

/* start + factor * eight lanes of 16 bits. */
QIR_AVX2 static QIR_INLINE void qir_bits_avx2_add8(__m128i counts, __m256i factor, const int32_t *start,
                                                   int32_t *sums) {
    const __m256i products = _mm256_mullo_epi32(_mm256_cvtepu16_epi32(counts), factor);
    _mm256_storeu_si256((__m256i *)(void *)sums, _mm256_add_epi32(qir_avx2_vector(start), products));
}

QIR_AVX2 static QIR_INLINE void qir_bits_avx2_add(__m256i low, __m256i high, __m256i factor, const int32_t *start,
                                                  int32_t *sums) {
    qir_bits_avx2_add8(_mm256_castsi256_si128(low), factor, start, sums);
    qir_bits_avx2_add8(_mm256_castsi256_si128(high), factor, start + 8, sums + 8);
    qir_bits_avx2_add8(_mm256_extracti128_si256(low, 1), factor, start + 16, sums + 16);
    qir_bits_avx2_add8(_mm256_extracti128_si256(high, 1), factor, start + 24, sums + 24);
}

/* Row i: counts in bytes, and in 16 bits, where lanes of low hold channels 0..7 and 16..23. gcc would first add the two
   counts of a step, and then copy their sum. */
#define QIR_AVX2_BITS_BEGIN(i)                       \
    const uint8_t *x##i = count->x + (i)*count->row; \
    __m256i low##i = zero, high##i = zero;
#define QIR_AVX2_BITS_ZERO(i) __m256i a##i = zero;
#define QIR_AVX2_BITS_LOOK(i, place, weights)                                                              \
    table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(tables + place))); \
    a##i = _mm256_add_epi8(a##i, _mm256_shuffle_epi8(table, weights));                                     \
    QIR_KEEP_PRODUCT(a##i);
#define QIR_AVX2_BITS_STEP(i) \
    QIR_AVX2_BITS_LOOK(i, x##i[2 * at], first) QIR_AVX2_BITS_LOOK(i, x##i[2 * at + 1], second)
#define QIR_AVX2_BITS_WIDEN(i)                                             \
    low##i = _mm256_add_epi16(low##i, _mm256_unpacklo_epi8(a##i, zero));   \
    high##i = _mm256_add_epi16(high##i, _mm256_unpackhi_epi8(a##i, zero)); \
    x##i += 2 * together;
#define QIR_AVX2_BITS_END(i) \
    qir_bits_avx2_add(low##i, high##i, factor, count->start + (i)*count->step, sums + (i)*count->pitch);

#define QIR_AVX2_BITS(join, n)                                                                            \
    QIR_AVX2 QIR_ALONE static void qir_bits_avx2_##join##n(const qir_bits_count *count, const uint8_t *w, \
                                                           int32_t *sums) {                               \
        const uint8_t *const tables = qir_bits_avx2_##join();                                             \
        const __m256i zero = _mm256_setzero_si256(), mask = _mm256_set1_epi8(15);                         \
        const __m256i factor = _mm256_set1_epi32(count->factor);                                          \
        ptrdiff_t left = count->steps;                                                                    \
        QIR_EACH_##n(QIR_AVX2_BITS_BEGIN) do {                                                            \
            const ptrdiff_t together = left < 31 ? left : 31;                                             \
            ptrdiff_t at;                                                                                 \
            QIR_EACH_##n(QIR_AVX2_BITS_ZERO) for (at = 0; at < together; ++at, w += 32) {                 \
                const __m256i bits = qir_avx2_vector(w), first = _mm256_and_si256(bits, mask);            \
                const __m256i second = _mm256_and_si256(_mm256_srli_epi16(bits, 4), mask);                \
                __m256i table;                                                                            \
                QIR_EACH_##n(QIR_AVX2_BITS_STEP)                                                          \
            }                                                                                             \
            QIR_EACH_##n(QIR_AVX2_BITS_WIDEN) left -= together;                                           \
        } while (left);                                                                                   \
        QIR_EACH_##n(QIR_AVX2_BITS_END)                                                                   \
    }

QIR_AVX2_BITS(xor, 1) QIR_AVX2_BITS(xor, 4) QIR_AVX2_BITS(and, 1) QIR_AVX2_BITS(and, 4)

QIR_AVX2 static QIR_INLINE __m256 qir_bits_avx2_reals(const int32_t *sums, const float *multiplier) {
    return qir_avx2_scaled(qir_avx2_vector(sums), _mm256_loadu_ps(multiplier));
}

/* 32 results. */
QIR_AVX2 static QIR_INLINE void qir_bits_avx2_row_u8(const int32_t *sums, const float *multiplier,
                                                     qir_requant8 q, uint8_t *y) {
    qir_avx2_row_u8(qir_bits_avx2_reals(sums, multiplier), qir_bits_avx2_reals(sums + 8, multiplier + 8),
                    qir_bits_avx2_reals(sums + 16, multiplier + 16),
                    qir_bits_avx2_reals(sums + 24, multiplier + 24), q, y);
}

QIR_AVX2 static QIR_INLINE void qir_bits_avx2_row_f32(const int32_t *sums, const float *multiplier,
                                                      qir_requant8 q, float *y) {
    qir_avx2_row_f32(qir_bits_avx2_reals(sums, multiplier), qir_bits_avx2_reals(sums + 8, multiplier + 8),
                     qir_bits_avx2_reals(sums + 16, multiplier + 16),
                     qir_bits_avx2_reals(sums + 24, multiplier + 24), q, y);
}

/* Bytes of ones where sums are below their thresholds. Packing goes by halves of 128 bits, and leaves four bytes of
   each vector in either. */
QIR_AVX2 static QIR_INLINE __m256i qir_bits_avx2_below(const int32_t *sums, const int32_t *threshold) {
    const __m256i a = _mm256_cmpgt_epi32(qir_avx2_vector(threshold), qir_avx2_vector(sums));
    const __m256i b = _mm256_cmpgt_epi32(qir_avx2_vector(threshold + 8), qir_avx2_vector(sums + 8));
    const __m256i c = _mm256_cmpgt_epi32(qir_avx2_vector(threshold + 16), qir_avx2_vector(sums + 16));
    const __m256i d = _mm256_cmpgt_epi32(qir_avx2_vector(threshold + 24), qir_avx2_vector(sums + 24));
    const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* A bit for each of 32 sums: whether it reaches its threshold. */
QIR_AVX2 static QIR_INLINE uint64_t qir_bits_avx2_reached(const int32_t *sums, const int32_t *threshold) {
    return ~(uint32_t)_mm256_movemask_epi8(qir_bits_avx2_below(sums, threshold));
}

/* 32 codes: y_low + y_step * thresholds that are reached. */
QIR_AVX2 static QIR_INLINE void qir_bits_avx2_group(const qir_conv_bits_shape *s, const int32_t *sums,
                                                      const int32_t *threshold, ptrdiff_t pitch, uint8_t *y) {
    const __m256i step = _mm256_set1_epi8((char)s->y_step);
    __m256i codes = _mm256_set1_epi8((char)s->y_low);
    int32_t level;
    for (level = 1; level < s->levels; ++level, threshold += pitch) {
        codes = _mm256_add_epi8(codes, _mm256_andnot_si256(qir_bits_avx2_below(sums, threshold), step));
    }
    _mm256_storeu_si256((__m256i *)(void *)y, codes);
}

QIR_BITS_RESULTS(avx2, QIR_AVX2, 32, qir_requant8, qir_widen_requant8)

#endif
