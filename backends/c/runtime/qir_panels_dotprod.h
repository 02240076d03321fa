/* Tiles of one to five rows by a panel of sixteen channels with ARM's dot products: sdot adds to each of four sums the
   products of four codes with the weights of its channel, both signed, exactly. Twenty sums and sixteen codes of each
   of five rows leave as many registers as one load of weights fills: 80 products take 9 loads. Six rows would leave two
   registers, and 96 products take 14 loads, in pairs. As builtin gcc and clang copy sums around. */
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
#define QIR_DOTPROD_SUMS(i)                                                 \
    QIR_DOTPROD_ADD(a##i, codes##i, w0) QIR_DOTPROD_ADD(b##i, codes##i, w1) \
    QIR_DOTPROD_ADD(c##i, codes##i, w2) QIR_DOTPROD_ADD(d##i, codes##i, w3)
#define QIR_DOTPROD_STEP(n, k, sums)                         \
    {                                                        \
        enum { lane = k };                                   \
        QIR_NEON_FOUR_WEIGHTS QIR_EACH_##n(QIR_DOTPROD_SUMS) \
    }
#define QIR_DOTPROD_ROWS(n, name, type, begin, kind, end)   \
    QIR_NEON_TILE(name##_##n, n, type, QIR_EACH_##n(begin), \
                  QIR_NEON_SEGMENT(n, QIR_DOTPROD_STEP, none), kind, QIR_EACH_##n(end))

/* Functions name_1, name_2, ..., and their table; see QIR_NEON_TILES. */
#define QIR_DOTPROD_TILES(name, type, begin, kind, end)                                                 \
    QIR_DOTPROD_ROWS(1, name, type, begin, kind, end) QIR_DOTPROD_ROWS(2, name, type, begin, kind, end) \
    QIR_DOTPROD_ROWS(3, name, type, begin, kind, end) QIR_DOTPROD_ROWS(4, name, type, begin, kind, end) \
    QIR_DOTPROD_ROWS(5, name, type, begin, kind, end)                                                   \
    static qir_panel_tile *const name##_tiles[] = {name##_1, name##_2, name##_3, name##_4, name##_5};

#endif
