/* Tiles of one to three pairs of rows by a panel of sixteen channels with ARM's products of matrices: usmmla adds to
   two by two sums the products of eight codes of two rows with eight weights of two channels, unsigned by signed,
   exactly. So the codes of two rows lie eight by eight beside each other. As builtin gcc copies sums around. */
#ifndef QIR_PANELS_I8MM_H
#define QIR_PANELS_I8MM_H

#include "qir_panels_neon.h"

#if !defined(__ARM_FEATURE_MATMUL_INT8)
#error "these kernels need products of matrices of bytes: build with -march=armv8.2-a+dotprod+i8mm"
#endif

#if defined(__GNUC__) && !defined(__clang__)
#define QIR_I8MM_ADD(sum, codes, weights) \
    __asm__("usmmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(codes), "w"(weights))
#else
#define QIR_I8MM_ADD(sum, codes, weights) ((sum) = vusmmlaq_s32(sum, codes, weights))
#endif
#define QIR_I8MM_TWICE(i, at) \
    vaddq_s32(offset##i, vcombine_s32(vld1_s32(p->bias + at), vld1_s32(p->bias + at)))
#define QIR_I8MM_BEGIN(i)                                                                                       \
    const int32x4_t offset##i = vcombine_s32(vdup_n_s32(row[2 * i].offset), vdup_n_s32(row[2 * i + 1].offset)); \
    int32x4_t a##i = QIR_I8MM_TWICE(i, 0), b##i = QIR_I8MM_TWICE(i, 2), c##i = QIR_I8MM_TWICE(i, 4);            \
    int32x4_t d##i = QIR_I8MM_TWICE(i, 6), e##i = QIR_I8MM_TWICE(i, 8), f##i = QIR_I8MM_TWICE(i, 10);           \
    int32x4_t g##i = QIR_I8MM_TWICE(i, 12), h##i = QIR_I8MM_TWICE(i, 14);
#define QIR_I8MM_FROM(i) const uint8_t *x##i = x + row[2 * i].from;
#define QIR_I8MM_CODES(i) const uint8x16_t codes##i = vld1q_u8(x##i); QIR_ADVANCE(x##i, 16);
#define QIR_I8MM_AB(i) QIR_I8MM_ADD(a##i, codes##i, w0); QIR_I8MM_ADD(b##i, codes##i, w1);
#define QIR_I8MM_CD(i) QIR_I8MM_ADD(c##i, codes##i, w2); QIR_I8MM_ADD(d##i, codes##i, w3);
#define QIR_I8MM_EF(i) QIR_I8MM_ADD(e##i, codes##i, w4); QIR_I8MM_ADD(f##i, codes##i, w5);
#define QIR_I8MM_GH(i) QIR_I8MM_ADD(g##i, codes##i, w6); QIR_I8MM_ADD(h##i, codes##i, w7);
#define QIR_I8MM_STEP(n)                                                                         \
    {                                                                                            \
        QIR_EACH_##n(QIR_I8MM_CODES) const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16);    \
        QIR_EACH_##n(QIR_I8MM_AB) const int8x16_t w2 = vld1q_s8(w + 32), w3 = vld1q_s8(w + 48);  \
        QIR_EACH_##n(QIR_I8MM_CD) const int8x16_t w4 = vld1q_s8(w + 64), w5 = vld1q_s8(w + 80);  \
        QIR_EACH_##n(QIR_I8MM_EF) const int8x16_t w6 = vld1q_s8(w + 96), w7 = vld1q_s8(w + 112); \
        QIR_EACH_##n(QIR_I8MM_GH) w += 128;                                                      \
    }
#define QIR_I8MM_SEGMENT(n)                                                 \
    QIR_EACH_##n(QIR_I8MM_FROM) for (left = p->steps / 4; left; --left) {   \
        QIR_I8MM_STEP(n) QIR_I8MM_STEP(n) QIR_I8MM_STEP(n) QIR_I8MM_STEP(n) \
    }                                                                       \
    for (left = p->steps % 4; left; --left) {                               \
        QIR_I8MM_STEP(n)                                                    \
    }
#define QIR_I8MM_JOIN(zip, left, right) \
    vreinterpretq_s32_s64(zip(vreinterpretq_s64_s32(left), vreinterpretq_s64_s32(right)))
#define QIR_I8MM_HALVES(at, type, store16, i, zip)                                                    \
    QIR_NEON_STORE(at, type, store16, QIR_I8MM_JOIN(zip, a##i, b##i), QIR_I8MM_JOIN(zip, c##i, d##i), \
                   QIR_I8MM_JOIN(zip, e##i, f##i), QIR_I8MM_JOIN(zip, g##i, h##i))

/* Stores the sums of pair i: one row has their lower halves, one the higher ones. */
#define QIR_I8MM_STORE(i, type, store16)                 \
    QIR_I8MM_HALVES(2 * i, type, store16, i, vzip1q_s64) \
    QIR_I8MM_HALVES(2 * i + 1, type, store16, i, vzip2q_s64)
#define QIR_I8MM_ROWS(n, name, type, end) \
    QIR_NEON_TILE(name##_##n, type, QIR_EACH_##n(QIR_I8MM_BEGIN), QIR_I8MM_SEGMENT(n), QIR_EACH_##n(end))

/* Functions name_1, name_2, name_3, and their table; `end(i)` is QIR_I8MM_STORE. */
#define QIR_I8MM_TILES(name, type, end)                                                                   \
    QIR_I8MM_ROWS(1, name, type, end) QIR_I8MM_ROWS(2, name, type, end) QIR_I8MM_ROWS(3, name, type, end) \
    static qir_panel_tile *const name##_tiles[] = {name##_1, name##_2, name##_3};

#endif
