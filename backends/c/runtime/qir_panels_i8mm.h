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
/* Two channels of the bias, twice. */
static QIR_INLINE int32x4_t qir_i8mm_twice(const int32_t *bias) {
    return vreinterpretq_s32_s64(vld1q_dup_s64((const int64_t *)(const void *)bias));
}

#define QIR_I8MM_BEGIN(i)                                                                                         \
    int32x4_t a##i = qir_i8mm_twice(bias), b##i = qir_i8mm_twice(bias + 2), c##i = qir_i8mm_twice(bias + 4);      \
    int32x4_t d##i = qir_i8mm_twice(bias + 6), e##i = qir_i8mm_twice(bias + 8), f##i = qir_i8mm_twice(bias + 10); \
    int32x4_t g##i = qir_i8mm_twice(bias + 12), h##i = qir_i8mm_twice(bias + 14);
#define QIR_I8MM_ADD_OFFSET(sum, i) sum##i = vaddq_s32(sum##i, offset##i);
#define QIR_I8MM_BEGIN_OFFSET(i)                                                                                \
    const int32x4_t offset##i = vcombine_s32(vdup_n_s32(row[2 * i].offset), vdup_n_s32(row[2 * i + 1].offset)); \
    QIR_I8MM_BEGIN(i)                                                                                           \
    QIR_I8MM_ADD_OFFSET(a, i) QIR_I8MM_ADD_OFFSET(b, i) QIR_I8MM_ADD_OFFSET(c, i) QIR_I8MM_ADD_OFFSET(d, i)     \
    QIR_I8MM_ADD_OFFSET(e, i) QIR_I8MM_ADD_OFFSET(f, i) QIR_I8MM_ADD_OFFSET(g, i) QIR_I8MM_ADD_OFFSET(h, i)
#define QIR_I8MM_FROM(i) const uint8_t *x##i = x + row[2 * i].from;
#define QIR_I8MM_CODES(i) const uint8x16_t codes##i = vld1q_u8(x##i); QIR_ADVANCE(x##i, 16);
#define QIR_I8MM_AD(i)                                                \
    QIR_I8MM_ADD(a##i, codes##i, w0) QIR_I8MM_ADD(b##i, codes##i, w1) \
    QIR_I8MM_ADD(c##i, codes##i, w2) QIR_I8MM_ADD(d##i, codes##i, w3)
#define QIR_I8MM_EH(i)                                                \
    QIR_I8MM_ADD(e##i, codes##i, w0) QIR_I8MM_ADD(f##i, codes##i, w1) \
    QIR_I8MM_ADD(g##i, codes##i, w2) QIR_I8MM_ADD(h##i, codes##i, w3)
#define QIR_I8MM_STEP(n)                                    \
    {                                                       \
        QIR_EACH_##n(QIR_I8MM_CODES) {                      \
            QIR_NEON_FOUR_WEIGHTS QIR_EACH_##n(QIR_I8MM_AD) \
        }                                                   \
        QIR_NEON_FOUR_WEIGHTS QIR_EACH_##n(QIR_I8MM_EH)     \
    }
#define QIR_I8MM_SEGMENT(n)                                                 \
    QIR_EACH_##n(QIR_I8MM_FROM) for (left = fours; left; --left) {          \
        QIR_I8MM_STEP(n) QIR_I8MM_STEP(n) QIR_I8MM_STEP(n) QIR_I8MM_STEP(n) \
    }                                                                       \
    for (left = rest; left; --left) {                                       \
        QIR_I8MM_STEP(n)                                                    \
    }
#define QIR_I8MM_JOIN(zip, left, right) \
    vreinterpretq_s32_s64(zip(vreinterpretq_s64_s32(left), vreinterpretq_s64_s32(right)))
#define QIR_I8MM_HALVES(at, store16, i, zip)                                                    \
    QIR_NEON_STORE(at, store16, QIR_I8MM_JOIN(zip, a##i, b##i), QIR_I8MM_JOIN(zip, c##i, d##i), \
                   QIR_I8MM_JOIN(zip, e##i, f##i), QIR_I8MM_JOIN(zip, g##i, h##i))

/* Stores the sums of pair i: one row has their lower halves, one the higher ones. */
#define QIR_I8MM_STORE(i, store16)                     \
    QIR_I8MM_HALVES(2 * i + 1, store16, i, vzip2q_s64) \
    QIR_I8MM_HALVES(2 * i, store16, i, vzip1q_s64)

/* Other codes of both are read first: a row that nobody wants is stored where the one before it is. */
#define QIR_I8MM_SUM_HALVES(at, other, i, zip)                                                    \
    QIR_NEON_STORE_SUM(at, other, QIR_I8MM_JOIN(zip, a##i, b##i), QIR_I8MM_JOIN(zip, c##i, d##i), \
                       QIR_I8MM_JOIN(zip, e##i, f##i), QIR_I8MM_JOIN(zip, g##i, h##i))
#define QIR_I8MM_STORE_SUM(i)                                                               \
    {                                                                                       \
        const uint8x16_t other = QIR_NEON_OTHER(2 * i), other2 = QIR_NEON_OTHER(2 * i + 1); \
        QIR_I8MM_SUM_HALVES(2 * i + 1, other2, i, vzip2q_s64)                               \
        QIR_I8MM_SUM_HALVES(2 * i, other, i, vzip1q_s64)                                    \
    }
#define QIR_I8MM_ROWS(n, name, type, begin, kind, end) \
    QIR_NEON_TILE(name##_##n, 2 * n, type, QIR_EACH_##n(begin), QIR_I8MM_SEGMENT(n), kind, QIR_EACH_##n(end))

/* Functions name_1, name_2, name_3, and their table; see QIR_NEON_TILES. */
#define QIR_I8MM_TILES(name, type, begin, kind, end)                                              \
    QIR_I8MM_ROWS(1, name, type, begin, kind, end) QIR_I8MM_ROWS(2, name, type, begin, kind, end) \
    QIR_I8MM_ROWS(3, name, type, begin, kind, end)                                                \
    static qir_panel_tile *const name##_tiles[] = {name##_1, name##_2, name##_3};

#endif
