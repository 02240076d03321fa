/* Tiles of one to five rows by a panel of sixteen channels with ARM's dot products: sdot adds to each of four sums the
   products of four codes with the weights of its channel, both signed, exactly. Twenty sums and sixteen codes of each
   of five rows leave seven registers: four that one load of weights fills, and three for the next codes of three rows,
   which are loaded in pairs: 160 products take 15 loads. Six rows would leave two registers, and 192 products take 28
   loads. As builtin gcc and clang copy sums around. */
#ifndef QIR_PANELS_DOTPROD_H
#define QIR_PANELS_DOTPROD_H

#include "qir_panels_neon.h"

#if !defined(__ARM_FEATURE_DOTPROD)
#error "these kernels need dot products: build with -march=armv8.2-a+dotprod"
#endif

#if defined(__GNUC__)
#define QIR_DOTPROD_ADD(sum, codes, weights) \
    __asm__("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(sum) : "w"(weights), "w"(codes), "i"(lane));
#else
#define QIR_DOTPROD_ADD(sum, codes, weights) sum = vdotq_laneq_s32(sum, weights, codes, lane);
#endif
#define QIR_DOTPROD_SUMS_OF(i, codes)                                 \
    QIR_DOTPROD_ADD(a##i, codes, w0) QIR_DOTPROD_ADD(b##i, codes, w1) \
    QIR_DOTPROD_ADD(c##i, codes, w2) QIR_DOTPROD_ADD(d##i, codes, w3)
#define QIR_DOTPROD_SUMS(i) QIR_DOTPROD_SUMS_OF(i, codes##i)
#define QIR_DOTPROD_NEXT_SUMS(i) QIR_DOTPROD_SUMS_OF(i, next##i)
#define QIR_DOTPROD_STEP(n, k, sums)             \
    {                                            \
        enum { lane = k };                       \
        QIR_NEON_FOUR_WEIGHTS QIR_EACH_##n(sums) \
    }
#define QIR_DOTPROD_STEPS(n, sums) \
    QIR_DOTPROD_STEP(n, 0, sums) QIR_DOTPROD_STEP(n, 1, sums) QIR_DOTPROD_STEP(n, 2, sums) QIR_DOTPROD_STEP(n, 3, sums)

/* Of the rows whose codes are loaded in pairs, and of the others. */
#define QIR_DOTPROD_PAIRS_1(each) QIR_EACH_1(each)
#define QIR_DOTPROD_PAIRS_4(each) QIR_EACH_4(each)
#define QIR_DOTPROD_PAIRS_5(each) QIR_EACH_3(each)
#define QIR_DOTPROD_ALONE_1(each)
#define QIR_DOTPROD_ALONE_4(each)
#define QIR_DOTPROD_ALONE_5(each) each(3) each(4)
#define QIR_DOTPROD_PAIR(i) QIR_NEON_TWICE_SIXTEEN(i, int8x16_t, vld1q_s8)
#define QIR_DOTPROD_NEXT(i) const int8x16_t next##i = vld1q_s8(x##i); QIR_ADVANCE(x##i, 16);

/* The products of a segment, eight steps at a time, then four, then one; how few these are gcc is not to see, which
   would write them out. Tiles of two and three rows, the least frequent ones, have short code. */
#define QIR_DOTPROD_SHORT(n) QIR_NEON_SEGMENT(n, QIR_DOTPROD_STEP, QIR_DOTPROD_SUMS)
#define QIR_DOTPROD_LONG(n)                                                   \
    QIR_EACH_##n(QIR_NEON_FROM) for (left = fours / 2; left; --left) {        \
        QIR_DOTPROD_PAIRS_##n(QIR_DOTPROD_PAIR)                               \
        QIR_DOTPROD_ALONE_##n(QIR_NEON_SIXTEEN)                               \
        QIR_DOTPROD_STEPS(n, QIR_DOTPROD_SUMS)                                \
        QIR_DOTPROD_ALONE_##n(QIR_DOTPROD_NEXT)                               \
        QIR_DOTPROD_STEPS(n, QIR_DOTPROD_NEXT_SUMS)                           \
    }                                                                         \
    if (fours % 2) {                                                          \
        QIR_EACH_##n(QIR_NEON_SIXTEEN) QIR_DOTPROD_STEPS(n, QIR_DOTPROD_SUMS) \
    }                                                                         \
    left = rest;                                                              \
    QIR_HIDE(left);                                                           \
    for (; left; --left) {                                                    \
        QIR_EACH_##n(QIR_NEON_FOUR) QIR_DOTPROD_STEP(n, 0, QIR_DOTPROD_SUMS)  \
    }
#define QIR_DOTPROD_ROWS(n, name, type, begin, segment, kind, end)                           \
    QIR_NEON_TILE(name##_##n, n, type, QIR_NEON_ONCE, QIR_EACH_##n(begin), segment(n), kind, \
                  QIR_EACH_##n(end))

/* Functions name_1, name_2, ..., and their table; see QIR_NEON_TILES. */
#define QIR_DOTPROD_TILES(name, type, begin, kind, end)                  \
    QIR_DOTPROD_ROWS(1, name, type, begin, QIR_DOTPROD_LONG, kind, end)  \
    QIR_DOTPROD_ROWS(2, name, type, begin, QIR_DOTPROD_SHORT, kind, end) \
    QIR_DOTPROD_ROWS(3, name, type, begin, QIR_DOTPROD_SHORT, kind, end) \
    QIR_DOTPROD_ROWS(4, name, type, begin, QIR_DOTPROD_LONG, kind, end)  \
    QIR_DOTPROD_ROWS(5, name, type, begin, QIR_DOTPROD_LONG, kind, end)  \
    static qir_panel_tile *const name##_tiles[] = {name##_1, name##_2, name##_3, name##_4, name##_5};

#endif
