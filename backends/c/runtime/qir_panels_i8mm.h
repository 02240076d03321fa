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

/* What all tiles share: biases and scales of channels, two by two and each two twice. Where they are is hidden, lest it
   be worked out for every load. */
#define QIR_I8MM_ONCE                                                                                \
    int32_t bias_twice[32], two;                                                                     \
    float scale_twice[32];                                                                           \
    const int32_t *biases = bias_twice, *biases_eh = bias_twice + 16;                                \
    const float *scales = scale_twice, *scales_eh = scale_twice + 16;                                \
    for (two = 0; two < 16; two += 2) {                                                              \
        vst1q_s32(bias_twice + 2 * two, qir_i8mm_twice(p.bias + two));                               \
        vst1q_f32(scale_twice + 2 * two, vreinterpretq_f32_s32(qir_i8mm_twice(p.multiplier + two))); \
    }                                                                                                \
    QIR_HIDE(biases);                                                                                \
    QIR_HIDE(biases_eh);                                                                             \
    QIR_HIDE(scales);                                                                                \
    QIR_HIDE(scales_eh);

/* Sums of pair of rows i start at the bias: by two instructions, which want neighbouring registers. */
#if defined(__GNUC__)
#define QIR_I8MM_SUMS_IN(a, b, c, d, first, second, third, fourth, from) \
    register int32x4_t a __asm__(first);                                 \
    register int32x4_t b __asm__(second);                                \
    register int32x4_t c __asm__(third);                                 \
    register int32x4_t d __asm__(fourth);                                \
    QIR_NEON_FOUR_SUMS(a, b, c, d, from)
#define QIR_I8MM_BEGIN_0                                               \
    QIR_I8MM_SUMS_IN(a0, b0, c0, d0, "v28", "v29", "v30", "v31", bias) \
    QIR_I8MM_SUMS_IN(e0, f0, g0, h0, "v24", "v25", "v26", "v27", biases_eh)
#define QIR_I8MM_BEGIN_1                                               \
    QIR_I8MM_SUMS_IN(a1, b1, c1, d1, "v20", "v21", "v22", "v23", bias) \
    QIR_I8MM_SUMS_IN(e1, f1, g1, h1, "v16", "v17", "v18", "v19", biases_eh)
#define QIR_I8MM_BEGIN_2                                               \
    QIR_I8MM_SUMS_IN(a2, b2, c2, d2, "v12", "v13", "v14", "v15", bias) \
    QIR_I8MM_SUMS_IN(e2, f2, g2, h2, "v8", "v9", "v10", "v11", biases_eh)
#define QIR_I8MM_BEGIN(i) QIR_I8MM_BEGIN_##i
#else
#define QIR_I8MM_BEGIN(i)                                               \
    int32x4_t a##i = vld1q_s32(bias), b##i = vld1q_s32(bias + 4);       \
    int32x4_t c##i = vld1q_s32(bias + 8), d##i = vld1q_s32(bias + 12);  \
    int32x4_t e##i = vld1q_s32(bias + 16), f##i = vld1q_s32(bias + 20); \
    int32x4_t g##i = vld1q_s32(bias + 24), h##i = vld1q_s32(bias + 28);
#endif
#define QIR_I8MM_ADD_OFFSET(sum, i) sum##i = vaddq_s32(sum##i, offset##i);
#define QIR_I8MM_BEGIN_OFFSET(i)                                                                                \
    const int32x4_t offset##i = vcombine_s32(vdup_n_s32(row[2 * i].offset), vdup_n_s32(row[2 * i + 1].offset)); \
    QIR_I8MM_BEGIN(i)                                                                                           \
    QIR_I8MM_ADD_OFFSET(a, i) QIR_I8MM_ADD_OFFSET(b, i) QIR_I8MM_ADD_OFFSET(c, i) QIR_I8MM_ADD_OFFSET(d, i)     \
    QIR_I8MM_ADD_OFFSET(e, i) QIR_I8MM_ADD_OFFSET(f, i) QIR_I8MM_ADD_OFFSET(g, i) QIR_I8MM_ADD_OFFSET(h, i)
#define QIR_I8MM_FROM(i) const uint8_t *x##i = x + row[2 * i].from;
#define QIR_I8MM_PLACES(i) QIR_I8MM_FROM(i) uint8x16_t codes##i, next##i;
#define QIR_I8MM_PLACE(i) QIR_I8MM_FROM(i) uint8x16_t codes##i;
#define QIR_I8MM_CODES(i) QIR_NEON_ONCE_SIXTEEN(i, codes##i, vld1q_u8)
#define QIR_I8MM_NEXT(i) QIR_NEON_ONCE_SIXTEEN(i, next##i, vld1q_u8)
#define QIR_I8MM_TWICE(i) QIR_NEON_TWICE_SIXTEEN(i, codes##i, next##i, vld1q_u8)
#define QIR_I8MM_BACK(i) x##i -= 16;
#define QIR_I8MM_AD(i, codes)                                   \
    QIR_I8MM_ADD(a##i, codes, w0) QIR_I8MM_ADD(b##i, codes, w1) \
    QIR_I8MM_ADD(c##i, codes, w2) QIR_I8MM_ADD(d##i, codes, w3)
#define QIR_I8MM_EH(i, codes)                                   \
    QIR_I8MM_ADD(e##i, codes, w0) QIR_I8MM_ADD(f##i, codes, w1) \
    QIR_I8MM_ADD(g##i, codes, w2) QIR_I8MM_ADD(h##i, codes, w3)
#define QIR_I8MM_CODES_AD(i) QIR_I8MM_AD(i, codes##i)
#define QIR_I8MM_CODES_EH(i) QIR_I8MM_EH(i, codes##i)
#define QIR_I8MM_NEXT_AD(i) QIR_I8MM_AD(i, next##i)
#define QIR_I8MM_NEXT_EH(i) QIR_I8MM_EH(i, next##i)
#define QIR_I8MM_STEP(ad, eh)    \
    {                            \
        QIR_NEON_FOUR_WEIGHTS ad \
    }                            \
    {                            \
        QIR_NEON_FOUR_WEIGHTS eh \
    }

/* Codes are loaded for two steps, of some pairs of rows before the first one, of the others, later ones, before the
   second one, and where registers do not suffice for each step: as in qir_panels_dotprod.h. */
#define QIR_I8MM_SOONER_1(each) QIR_EACH_1(each)
#define QIR_I8MM_SOONER_2(each) QIR_EACH_2(each)
#define QIR_I8MM_SOONER_3(each) each(0)
#define QIR_I8MM_LATER_1(each)
#define QIR_I8MM_LATER_2(each)
#define QIR_I8MM_LATER_3(each) each(1)
#define QIR_I8MM_EACH_STEP_1(each)
#define QIR_I8MM_EACH_STEP_2(each)
#define QIR_I8MM_EACH_STEP_3(each) each(2)
#define QIR_I8MM_FIRST(n, part)                                                         \
    QIR_I8MM_SOONER_##n(QIR_I8MM_CODES_##part) QIR_I8MM_LATER_##n(QIR_I8MM_NEXT_##part) \
    QIR_I8MM_EACH_STEP_##n(QIR_I8MM_CODES_##part)
#define QIR_I8MM_SECOND(n, part)                                                        \
    QIR_I8MM_SOONER_##n(QIR_I8MM_NEXT_##part) QIR_I8MM_LATER_##n(QIR_I8MM_CODES_##part) \
    QIR_I8MM_EACH_STEP_##n(QIR_I8MM_CODES_##part)
#define QIR_I8MM_TWO_STEPS(n)                                   \
    QIR_I8MM_SOONER_##n(QIR_I8MM_TWICE)                         \
    QIR_I8MM_EACH_STEP_##n(QIR_I8MM_CODES)                      \
    QIR_I8MM_STEP(QIR_I8MM_FIRST(n, AD), QIR_I8MM_FIRST(n, EH)) \
    QIR_I8MM_LATER_##n(QIR_I8MM_TWICE)                          \
    QIR_I8MM_EACH_STEP_##n(QIR_I8MM_CODES)                      \
    QIR_I8MM_STEP(QIR_I8MM_SECOND(n, AD), QIR_I8MM_SECOND(n, EH))
#define QIR_I8MM_SEGMENT(n)                                                                 \
    QIR_I8MM_SOONER_##n(QIR_I8MM_PLACES) QIR_I8MM_LATER_##n(QIR_I8MM_PLACES)                \
    QIR_I8MM_EACH_STEP_##n(QIR_I8MM_PLACE) QIR_I8MM_LATER_##n(QIR_I8MM_NEXT)                \
    for (left = fours; left; --left) {                                                      \
        QIR_I8MM_TWO_STEPS(n) QIR_I8MM_TWO_STEPS(n)                                         \
    }                                                                                       \
    left = rest;                                                                            \
    if (left) {                                                                             \
        QIR_I8MM_LATER_##n(QIR_I8MM_BACK) do {                                              \
            QIR_EACH_##n(QIR_I8MM_CODES)                                                    \
            QIR_I8MM_STEP(QIR_EACH_##n(QIR_I8MM_CODES_AD), QIR_EACH_##n(QIR_I8MM_CODES_EH)) \
        } while (--left);                                                                   \
    }

/* Results of eight channels of a pair of rows, each two channels beside those of the other row. */
typedef uint8x16_t qir_neon_laid_u8;
typedef uint8x16_t qir_neon_laid_whole_u8;
typedef struct {
    float32x4_t two[4];
} qir_neon_laid_f32;

/* Their accumulators to results. */
static QIR_INLINE uint8x16_t qir_neon_lay_u8(const int32x4_t acc[4], const float32x4_t scale[4], qir_requant4 q) {
    return qir_neon_codes16(qir_neon_scaled(acc[0], scale[0]), qir_neon_scaled(acc[1], scale[1]),
                            qir_neon_scaled(acc[2], scale[2]), qir_neon_scaled(acc[3], scale[3]), q);
}

static QIR_INLINE uint8x16_t qir_neon_lay_whole_u8(const int32x4_t acc[4], const float32x4_t scale[4],
                                                   qir_requant4 q) {
    return qir_neon_whole16(qir_neon_scaled(acc[0], scale[0]), qir_neon_scaled(acc[1], scale[1]),
                            qir_neon_scaled(acc[2], scale[2]), qir_neon_scaled(acc[3], scale[3]), q);
}

static QIR_INLINE qir_neon_laid_f32 qir_neon_lay_f32(const int32x4_t acc[4], const float32x4_t scale[4],
                                                     qir_requant4 q) {
    const qir_neon_laid_f32 laid = {{qir_neon_scaled(acc[0], scale[0]), qir_neon_scaled(acc[1], scale[1]),
                                     qir_neon_scaled(acc[2], scale[2]), qir_neon_scaled(acc[3], scale[3])}};
    (void)q;
    return laid;
}

/* Stores results of a pair of rows. A row that nobody wants is stored where the one before it is, which hence comes
   last. */
static QIR_INLINE void qir_neon_store_pair_u8(uint8x16_t low, uint8x16_t high, uint8_t *y, uint8_t *y2) {
    const uint16x8_t first = vreinterpretq_u16_u8(low), second = vreinterpretq_u16_u8(high);
    vst1q_u8(y2, vreinterpretq_u8_u16(vuzp2q_u16(first, second)));
    vst1q_u8(y, vreinterpretq_u8_u16(vuzp1q_u16(first, second)));
}

#define qir_neon_store_pair_whole_u8 qir_neon_store_pair_u8

static QIR_INLINE void qir_neon_store_pair_f32(qir_neon_laid_f32 low, qir_neon_laid_f32 high, float *y, float *y2) {
    const float32x4_t *const laid[2] = {low.two, high.two};
    int32_t i;
    for (i = 0; i < 4; ++i) {
        const float64x2_t v = vreinterpretq_f64_f32(laid[i / 2][i % 2 * 2]);
        const float64x2_t v2 = vreinterpretq_f64_f32(laid[i / 2][i % 2 * 2 + 1]);
        vst1q_f32(y2 + 4 * i, vreinterpretq_f32_f64(vzip2q_f64(v, v2)));
    }
    for (i = 0; i < 4; ++i) {
        const float64x2_t v = vreinterpretq_f64_f32(laid[i / 2][i % 2 * 2]);
        const float64x2_t v2 = vreinterpretq_f64_f32(laid[i / 2][i % 2 * 2 + 1]);
        vst1q_f32(y + 4 * i, vreinterpretq_f32_f64(vzip1q_f64(v, v2)));
    }
}

/* `low(i)` lays results of channels a .. d of a pair of rows, `high(i)` those of the others and stores all: so that no
   more than four scales take registers. */
#define QIR_I8MM_END(n, low, high)                    \
    QIR_NEON_FOUR_SCALES                              \
    QIR_NEON_LOAD_SCALES(scales)                      \
    const float32x4_t scale[4] = {s0, s1, s2, s3};    \
    QIR_EACH_##n(low)                                 \
    QIR_NEON_LOAD_SCALES(scales_eh)                   \
    const float32x4_t scale_eh[4] = {s0, s1, s2, s3}; \
    QIR_EACH_##n(high)
#define QIR_I8MM_TO(i) y + row[2 * (i)].to, y + row[2 * (i) + 1].to
#define QIR_I8MM_LOW(i, type, lay)                          \
    type laid##i;                                           \
    {                                                       \
        const int32x4_t sums[4] = {a##i, b##i, c##i, d##i}; \
        laid##i = lay(sums, scale, q);                      \
    }
#define QIR_I8MM_HIGH(i, lay, store_pair)                            \
    {                                                                \
        const int32x4_t sums[4] = {e##i, f##i, g##i, h##i};          \
        store_pair(laid##i, lay(sums, scale_eh, q), QIR_I8MM_TO(i)); \
    }

/* Other codes of both rows, laid as theirs; all are read before any is written. */
#define QIR_I8MM_OTHER(zip, i)                                              \
    vreinterpretq_u8_u16(zip(vreinterpretq_u16_u8(QIR_NEON_OTHER(2 * (i))), \
                             vreinterpretq_u16_u8(QIR_NEON_OTHER(2 * (i) + 1))))
#define QIR_I8MM_LOW_SUM(i)                                                                           \
    uint8x16_t laid##i;                                                                               \
    {                                                                                                 \
        const int32x4_t sums[4] = {a##i, b##i, c##i, d##i};                                           \
        laid##i = qir_neon_sum16(sums, scale, &numbers, QIR_I8MM_OTHER(vzip1q_u16, i), own_first, q); \
    }
#define QIR_I8MM_HIGH_SUM(i)                                                                                    \
    {                                                                                                           \
        const int32x4_t sums[4] = {e##i, f##i, g##i, h##i};                                                     \
        qir_neon_store_pair_u8(laid##i, qir_neon_sum16(sums, scale_eh, &numbers, QIR_I8MM_OTHER(vzip2q_u16, i), \
                                                       own_first, q), QIR_I8MM_TO(i));                          \
    }
#define QIR_I8MM_ROWS(n, name, type, begin, kind, low, high)                                              \
    QIR_NEON_TILE(name##_##n, 2 * n, type, QIR_I8MM_ONCE, QIR_EACH_##n(begin), QIR_I8MM_SEGMENT(n), kind, \
                  QIR_I8MM_END(n, low, high))

/* Functions name_1, name_2, name_3, and their table; see QIR_NEON_TILES. */
#define QIR_I8MM_TILES(name, type, begin, kind, low, high) \
    QIR_I8MM_ROWS(1, name, type, begin, kind, low, high)   \
    QIR_I8MM_ROWS(2, name, type, begin, kind, low, high)   \
    QIR_I8MM_ROWS(3, name, type, begin, kind, low, high)   \
    static qir_panel_tile *const name##_tiles[] = {name##_1, name##_2, name##_3};

#endif
