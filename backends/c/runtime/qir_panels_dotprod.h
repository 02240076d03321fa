/* Tiles of one to five rows by a panel of sixteen channels with ARM's dot products: sdot adds to each of four sums the
   products of four codes with the weights of its channel, both signed, exactly. Twenty sums and sixteen codes of each
   of five rows leave seven registers: four that one load of weights fills, and three for next codes, so that all codes
   are loaded in pairs: 160 products take 13 loads. Six rows would leave two registers, and 192 products take 28 loads.
   As builtin gcc and clang copy sums around. */
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
#define QIR_DOTPROD_ONE(k, sums)   \
    {                              \
        enum { lane = k };         \
        QIR_NEON_FOUR_WEIGHTS sums \
    }
#define QIR_DOTPROD_FOUR(sums) \
    QIR_DOTPROD_ONE(0, sums) QIR_DOTPROD_ONE(1, sums) QIR_DOTPROD_ONE(2, sums) QIR_DOTPROD_ONE(3, sums)
#define QIR_DOTPROD_STEP(n, k, sums) QIR_DOTPROD_ONE(k, QIR_EACH_##n(sums))

/* Sums of row i start at the bias: by one instruction, which wants neighbouring registers. */
#if defined(__GNUC__)
#define QIR_DOTPROD_SUMS_IN(i, first, second, third, fourth) \
    register int32x4_t a##i __asm__(first);                  \
    register int32x4_t b##i __asm__(second);                 \
    register int32x4_t c##i __asm__(third);                  \
    register int32x4_t d##i __asm__(fourth);                 \
    QIR_NEON_FOUR_SUMS(a##i, b##i, c##i, d##i, bias)
#define QIR_DOTPROD_BEGIN_0 QIR_DOTPROD_SUMS_IN(0, "v28", "v29", "v30", "v31")
#define QIR_DOTPROD_BEGIN_1 QIR_DOTPROD_SUMS_IN(1, "v24", "v25", "v26", "v27")
#define QIR_DOTPROD_BEGIN_2 QIR_DOTPROD_SUMS_IN(2, "v20", "v21", "v22", "v23")
#define QIR_DOTPROD_BEGIN_3 QIR_DOTPROD_SUMS_IN(3, "v16", "v17", "v18", "v19")
#define QIR_DOTPROD_BEGIN_4 QIR_DOTPROD_SUMS_IN(4, "v12", "v13", "v14", "v15")
#define QIR_DOTPROD_BEGIN(i) QIR_DOTPROD_BEGIN_##i
#else
#define QIR_DOTPROD_BEGIN(i) QIR_NEON_BEGIN(i)
#endif
#define QIR_DOTPROD_BEGIN_OFFSET(i)                         \
    const int32x4_t offset##i = vdupq_n_s32(row[i].offset); \
    QIR_DOTPROD_BEGIN(i)                                    \
    a##i = vaddq_s32(a##i, offset##i);                      \
    b##i = vaddq_s32(b##i, offset##i);                      \
    c##i = vaddq_s32(c##i, offset##i);                      \
    d##i = vaddq_s32(d##i, offset##i);

/* Codes are loaded by twice sixteen, of some rows before the first four of eight steps, of the others, later ones,
   before the last four: so that there are never more than three `next` ones besides those in use. The first sixteen of
   later rows are loaded before all steps, and for them the last load may reach sixteen bytes beyond the segment:
   `ahead` is by how many bytes their pointers are then too far for single steps. */
#define QIR_DOTPROD_SOONER_1(each) QIR_EACH_1(each)
#define QIR_DOTPROD_SOONER_4(each) QIR_EACH_4(each)
#define QIR_DOTPROD_SOONER_5(each) QIR_EACH_3(each)
#define QIR_DOTPROD_LATER_1(each)
#define QIR_DOTPROD_LATER_4(each)
#define QIR_DOTPROD_LATER_5(each) each(3) each(4)
#define QIR_DOTPROD_FIRST(n) QIR_DOTPROD_SOONER_##n(QIR_DOTPROD_SUMS) QIR_DOTPROD_LATER_##n(QIR_DOTPROD_NEXT_SUMS)
#define QIR_DOTPROD_SECOND(n) QIR_DOTPROD_SOONER_##n(QIR_DOTPROD_NEXT_SUMS) QIR_DOTPROD_LATER_##n(QIR_DOTPROD_SUMS)
#define QIR_DOTPROD_PLACES(i) QIR_NEON_FROM(i) int8x16_t codes##i, next##i;
#define QIR_DOTPROD_AHEAD(i) QIR_NEON_ONCE_SIXTEEN(i, next##i, vld1q_s8)
#define QIR_DOTPROD_LAST(i) QIR_NEON_ONCE_SIXTEEN(i, codes##i, vld1q_s8)
#define QIR_DOTPROD_BACK(i) x##i -= ahead;
#define QIR_DOTPROD_SINGLE(i) codes##i = QIR_NEON_FOUR_CODES(x##i); QIR_ADVANCE(x##i, 4);
#define QIR_DOTPROD_TWICE(i) QIR_NEON_TWICE_SIXTEEN(i, codes##i, next##i, vld1q_s8)

/* The products of a segment, eight steps at a time, then four, then one; how few these are gcc is not to see, which
   would write them out. Tiles of two and three rows, the least frequent ones, have short code. */
#define QIR_DOTPROD_SHORT(n) QIR_NEON_SEGMENT(n, QIR_DOTPROD_STEP, QIR_DOTPROD_SUMS)
#define QIR_DOTPROD_LONG(n)                                                             \
    QIR_EACH_##n(QIR_DOTPROD_PLACES) QIR_DOTPROD_LATER_##n(QIR_DOTPROD_AHEAD)           \
    for (left = fours / 2; left; --left) {                                              \
        QIR_DOTPROD_SOONER_##n(QIR_DOTPROD_TWICE)                                       \
        QIR_DOTPROD_FOUR(QIR_DOTPROD_FIRST(n))                                          \
        QIR_DOTPROD_LATER_##n(QIR_DOTPROD_TWICE)                                        \
        QIR_DOTPROD_FOUR(QIR_DOTPROD_SECOND(n))                                         \
    }                                                                                   \
    if (fours % 2) {                                                                    \
        QIR_DOTPROD_SOONER_##n(QIR_DOTPROD_LAST) QIR_DOTPROD_FOUR(QIR_DOTPROD_FIRST(n)) \
    }                                                                                   \
    left = rest;                                                                        \
    QIR_HIDE(left);                                                                     \
    if (left) {                                                                         \
        QIR_DOTPROD_LATER_##n(QIR_DOTPROD_BACK) do {                                    \
            QIR_EACH_##n(QIR_DOTPROD_SINGLE) QIR_DOTPROD_STEP(n, 0, QIR_DOTPROD_SUMS)   \
        } while (--left);                                                               \
    }
#define QIR_DOTPROD_ONCE                  \
    ptrdiff_t ahead = fours % 2 ? 0 : 16; \
    QIR_NEON_ONCE                         \
    QIR_HIDE(ahead);
#define QIR_DOTPROD_ROWS(n, name, type, begin, segment, kind, end)                              \
    QIR_NEON_TILE(name##_##n, n, type, QIR_DOTPROD_ONCE, QIR_EACH_##n(begin), segment(n), kind, \
                  QIR_NEON_SCALES QIR_EACH_##n(end))

/* Functions name_1, name_2, ..., and their table; see QIR_NEON_TILES. */
#define QIR_DOTPROD_TILES(name, type, begin, kind, end)                  \
    QIR_DOTPROD_ROWS(1, name, type, begin, QIR_DOTPROD_LONG, kind, end)  \
    QIR_DOTPROD_ROWS(2, name, type, begin, QIR_DOTPROD_SHORT, kind, end) \
    QIR_DOTPROD_ROWS(3, name, type, begin, QIR_DOTPROD_SHORT, kind, end) \
    QIR_DOTPROD_ROWS(4, name, type, begin, QIR_DOTPROD_LONG, kind, end)  \
    QIR_DOTPROD_ROWS(5, name, type, begin, QIR_DOTPROD_LONG, kind, end)  \
    static qir_panel_tile *const name##_tiles[] = {name##_1, name##_2, name##_3, name##_4, name##_5};

#endif
