/* Tiles of one to three pairs of rows by a panel of sixteen channels with ARM's products of matrices: usmmla adds to
   two by two sums the products of eight codes of two rows with eight weights of two channels, unsigned by signed,
   exactly. So the codes of two rows lie eight by eight beside each other. As builtin gcc and clang copy sums around. */
#ifndef QIR_PANELS_I8MM_H
#define QIR_PANELS_I8MM_H

#include "qir_panels_neon.h"

#if !defined(__ARM_FEATURE_MATMUL_INT8)
#error "these kernels need products of matrices of bytes: build with -march=armv8.2-a+dotprod+i8mm"
#endif

#if defined(__GNUC__)
#define QIR_I8MM_ADD(sum, codes, weights) \
    __asm__("usmmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(codes), "w"(weights));
#else
#define QIR_I8MM_ADD(sum, codes, weights) sum = vusmmlaq_s32(sum, codes, weights);
#endif
/* Two channels' numbers, twice, as sums of a pair of rows lie. */
static QIR_INLINE int32x4_t qir_i8mm_twice(const void *numbers) {
    return vreinterpretq_s32_s64(vld1q_dup_s64((const int64_t *)numbers));
}

#define QIR_I8MM_SCALE(i) vreinterpretq_f32_s32(qir_i8mm_twice(p.multiplier + 2 * (i)))
#define QIR_I8MM_ONCE                                                                      \
    const float32x4_t scale[8] = {QIR_I8MM_SCALE(0), QIR_I8MM_SCALE(1), QIR_I8MM_SCALE(2), \
                                  QIR_I8MM_SCALE(3), QIR_I8MM_SCALE(4), QIR_I8MM_SCALE(5), \
                                  QIR_I8MM_SCALE(6), QIR_I8MM_SCALE(7)};                   \
    int32_t biases[32], two;                                                               \
    for (two = 0; two < 16; two += 2) {                                                    \
        vst1q_s32(biases + 2 * two, qir_i8mm_twice(p.bias + two));                         \
    }
#define QIR_I8MM_BEGIN(i)                                               \
    int32x4_t a##i = vld1q_s32(bias), b##i = vld1q_s32(bias + 4);       \
    int32x4_t c##i = vld1q_s32(bias + 8), d##i = vld1q_s32(bias + 12);  \
    int32x4_t e##i = vld1q_s32(bias + 16), f##i = vld1q_s32(bias + 20); \
    int32x4_t g##i = vld1q_s32(bias + 24), h##i = vld1q_s32(bias + 28); \
    QIR_HIDE(bias);
#define QIR_I8MM_ADD_OFFSET(sum, i) sum##i = vaddq_s32(sum##i, offset##i);
#define QIR_I8MM_BEGIN_OFFSET(i)                                                                                \
    const int32x4_t offset##i = vcombine_s32(vdup_n_s32(row[2 * i].offset), vdup_n_s32(row[2 * i + 1].offset)); \
    QIR_I8MM_BEGIN(i)                                                                                           \
    QIR_I8MM_ADD_OFFSET(a, i) QIR_I8MM_ADD_OFFSET(b, i) QIR_I8MM_ADD_OFFSET(c, i) QIR_I8MM_ADD_OFFSET(d, i)     \
    QIR_I8MM_ADD_OFFSET(e, i) QIR_I8MM_ADD_OFFSET(f, i) QIR_I8MM_ADD_OFFSET(g, i) QIR_I8MM_ADD_OFFSET(h, i)
#define QIR_I8MM_FROM(i) const uint8_t *x##i = x + row[2 * i].from;
#define QIR_I8MM_CODES(i) const uint8x16_t codes##i = vld1q_u8(x##i); QIR_ADVANCE(x##i, 16);
#define QIR_I8MM_NEXT(i) const uint8x16_t next##i = vld1q_u8(x##i); QIR_ADVANCE(x##i, 16);
#define QIR_I8MM_PAIR(i) QIR_NEON_TWICE_SIXTEEN(i, uint8x16_t, vld1q_u8)
#define QIR_I8MM_AD(i, codes)                                   \
    QIR_I8MM_ADD(a##i, codes, w0) QIR_I8MM_ADD(b##i, codes, w1) \
    QIR_I8MM_ADD(c##i, codes, w2) QIR_I8MM_ADD(d##i, codes, w3)
#define QIR_I8MM_EH(i, codes)                                   \
    QIR_I8MM_ADD(e##i, codes, w0) QIR_I8MM_ADD(f##i, codes, w1) \
    QIR_I8MM_ADD(g##i, codes, w2) QIR_I8MM_ADD(h##i, codes, w3)
#define QIR_I8MM_FIRST_AD(i) QIR_I8MM_AD(i, codes##i)
#define QIR_I8MM_FIRST_EH(i) QIR_I8MM_EH(i, codes##i)
#define QIR_I8MM_NEXT_AD(i) QIR_I8MM_AD(i, next##i)
#define QIR_I8MM_NEXT_EH(i) QIR_I8MM_EH(i, next##i)
#define QIR_I8MM_STEP(n, which)                        \
    {                                                  \
        QIR_NEON_FOUR_WEIGHTS QIR_EACH_##n(which##_AD) \
    }                                                  \
    {                                                  \
        QIR_NEON_FOUR_WEIGHTS QIR_EACH_##n(which##_EH) \
    }

/* Of the pairs of rows whose codes are loaded for two steps, and of the others. */
#define QIR_I8MM_PAIRS_1(each) QIR_EACH_1(each)
#define QIR_I8MM_PAIRS_2(each) QIR_EACH_2(each)
#define QIR_I8MM_PAIRS_3(each) QIR_EACH_1(each)
#define QIR_I8MM_ALONE_1(each)
#define QIR_I8MM_ALONE_2(each)
#define QIR_I8MM_ALONE_3(each) each(1) each(2)
#define QIR_I8MM_TWO_STEPS(n)              \
    {                                      \
        QIR_I8MM_PAIRS_##n(QIR_I8MM_PAIR)  \
        QIR_I8MM_ALONE_##n(QIR_I8MM_CODES) \
        QIR_I8MM_STEP(n, QIR_I8MM_FIRST)   \
        QIR_I8MM_ALONE_##n(QIR_I8MM_NEXT)  \
        QIR_I8MM_STEP(n, QIR_I8MM_NEXT)    \
    }
#define QIR_I8MM_SEGMENT(n)                                           \
    QIR_EACH_##n(QIR_I8MM_FROM) for (left = fours; left; --left) {    \
        QIR_I8MM_TWO_STEPS(n) QIR_I8MM_TWO_STEPS(n)                   \
    }                                                                 \
    for (left = rest; left; --left) {                                 \
        QIR_EACH_##n(QIR_I8MM_CODES) QIR_I8MM_STEP(n, QIR_I8MM_FIRST) \
    }

/* Stores codes of a pair of rows, of which each two channels lie beside those of the other row. A row that nobody wants
   is stored where the one before it is, which hence comes last. */
static QIR_INLINE void qir_i8mm_store_codes(uint8x16_t low, uint8x16_t high, uint8_t *y, uint8_t *y2) {
    const uint16x8_t first = vreinterpretq_u16_u8(low), second = vreinterpretq_u16_u8(high);
    vst1q_u8(y2, vreinterpretq_u8_u16(vuzp2q_u16(first, second)));
    vst1q_u8(y, vreinterpretq_u8_u16(vuzp1q_u16(first, second)));
}

/* Accumulators of a pair of rows, two channels of both each, to codes by `codes16`. */
#define QIR_I8MM_STORE_PAIR_U8(codes16)                                                                    \
    qir_i8mm_store_codes(codes16(qir_neon_scaled(acc[0], scale[0]), qir_neon_scaled(acc[1], scale[1]),     \
                                 qir_neon_scaled(acc[2], scale[2]), qir_neon_scaled(acc[3], scale[3]), q), \
                         codes16(qir_neon_scaled(acc[4], scale[4]), qir_neon_scaled(acc[5], scale[5]),     \
                                 qir_neon_scaled(acc[6], scale[6]), qir_neon_scaled(acc[7], scale[7]), q), y, y2);

static QIR_INLINE void qir_neon_store_pair_u8(const int32x4_t acc[8], const float32x4_t scale[8], qir_requant4 q,
                                              uint8_t *y, uint8_t *y2) {
    QIR_I8MM_STORE_PAIR_U8(qir_neon_codes16)
}

static QIR_INLINE void qir_neon_store_pair_whole_u8(const int32x4_t acc[8], const float32x4_t scale[8],
                                                    qir_requant4 q, uint8_t *y, uint8_t *y2) {
    QIR_I8MM_STORE_PAIR_U8(qir_neon_whole16)
}

static QIR_INLINE void qir_neon_store_pair_f32(const int32x4_t acc[8], const float32x4_t scale[8], qir_requant4 q,
                                               float *y, float *y2) {
    float64x2_t v[8];
    int32_t i;
    (void)q;
    for (i = 0; i < 8; ++i) {
        v[i] = vreinterpretq_f64_f32(qir_neon_scaled(acc[i], scale[i]));
    }
    for (i = 0; i < 8; i += 2) {
        vst1q_f32(y2 + 2 * i, vreinterpretq_f32_f64(vzip2q_f64(v[i], v[i + 1])));
    }
    for (i = 0; i < 8; i += 2) {
        vst1q_f32(y + 2 * i, vreinterpretq_f32_f64(vzip1q_f64(v[i], v[i + 1])));
    }
}

#define QIR_I8MM_SUMS(i) {a##i, b##i, c##i, d##i, e##i, f##i, g##i, h##i}
#define QIR_I8MM_STORE(i, store_pair)                                                 \
    {                                                                                 \
        const int32x4_t sums[8] = QIR_I8MM_SUMS(i);                                   \
        store_pair(sums, scale, q, last + to[2 * (i)].to, last + to[2 * (i) + 1].to); \
    }

/* Other codes of both rows, laid as theirs. */
#define QIR_I8MM_OTHER(zip, i)                                              \
    vreinterpretq_u8_u16(zip(vreinterpretq_u16_u8(QIR_NEON_OTHER(2 * (i))), \
                             vreinterpretq_u16_u8(QIR_NEON_OTHER(2 * (i) + 1))))
#define QIR_I8MM_STORE_SUM(i)                                                                       \
    {                                                                                               \
        const int32x4_t sums[8] = QIR_I8MM_SUMS(i);                                                 \
        const uint8x16_t low = QIR_I8MM_OTHER(vzip1q_u16, i), high = QIR_I8MM_OTHER(vzip2q_u16, i); \
        qir_i8mm_store_codes(qir_neon_sum16(sums, scale, &numbers, low, own_first, q),              \
                             qir_neon_sum16(sums + 4, scale + 4, &numbers, high, own_first, q),     \
                             last + to[2 * (i)].to, last + to[2 * (i) + 1].to);                     \
    }
#define QIR_I8MM_ROWS(n, name, type, begin, kind, end)                                                    \
    QIR_NEON_TILE(name##_##n, 2 * n, type, QIR_I8MM_ONCE, QIR_EACH_##n(begin), QIR_I8MM_SEGMENT(n), kind, \
                  QIR_EACH_##n(end))

/* Functions name_1, name_2, name_3, and their table; see QIR_NEON_TILES. */
#define QIR_I8MM_TILES(name, type, begin, kind, end)                                              \
    QIR_I8MM_ROWS(1, name, type, begin, kind, end) QIR_I8MM_ROWS(2, name, type, begin, kind, end) \
    QIR_I8MM_ROWS(3, name, type, begin, kind, end)                                                \
    static qir_panel_tile *const name##_tiles[] = {name##_1, name##_2, name##_3};

#endif
