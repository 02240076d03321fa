/* Tiles of one to six rows by a panel of sixteen channels with ARM's dot products: sdot adds to each of four sums the
   products of four codes with the weights of its channel, both signed, exactly. Twenty-four sums and sixteen codes of
   each of six rows leave two of the 32 registers to weights. As builtin gcc copies sums around. */
#ifndef QIR_PANELS_DOTPROD_H
#define QIR_PANELS_DOTPROD_H

#include "qir_panels_neon.h"

#if !defined(__ARM_FEATURE_DOTPROD)
#error "these kernels need dot products: build with -march=armv8.2-a+dotprod"
#endif

#if defined(__GNUC__) && !defined(__clang__)
#define QIR_DOTPROD_ADD(sum, codes, weights) \
    __asm__("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(sum) : "w"(weights), "w"(codes), "i"(lane))
#else
#define QIR_DOTPROD_ADD(sum, codes, weights) ((sum) = vdotq_laneq_s32(sum, weights, codes, lane))
#endif
#define QIR_DOTPROD_A(i) QIR_DOTPROD_ADD(a##i, codes##i, w0);
#define QIR_DOTPROD_B(i) QIR_DOTPROD_ADD(b##i, codes##i, w1);
#define QIR_DOTPROD_C(i) QIR_DOTPROD_ADD(c##i, codes##i, w2);
#define QIR_DOTPROD_D(i) QIR_DOTPROD_ADD(d##i, codes##i, w3);
#define QIR_DOTPROD_STEP(n, k, sums)                                     \
    {                                                                    \
        enum { lane = k };                                               \
        const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16);         \
        QIR_EACH_##n(QIR_DOTPROD_A) QIR_EACH_##n(QIR_DOTPROD_B)          \
        const int8x16_t w2 = vld1q_s8(w + 32), w3 = vld1q_s8(w + 48);    \
        QIR_EACH_##n(QIR_DOTPROD_C) QIR_EACH_##n(QIR_DOTPROD_D) w += 64; \
    }
#define QIR_DOTPROD_ROWS(n, name, type, end)                                                                   \
    QIR_NEON_TILE(name##_##n, type, QIR_EACH_##n(QIR_NEON_BEGIN), QIR_NEON_SEGMENT(n, QIR_DOTPROD_STEP, none), \
                  QIR_EACH_##n(end))

/* Functions name_1, name_2, ..., and their table; `end(i)` is QIR_NEON_STORE of sums a .. d. */
#define QIR_DOTPROD_TILES(name, type, end)                                                                         \
    QIR_DOTPROD_ROWS(1, name, type, end) QIR_DOTPROD_ROWS(2, name, type, end) QIR_DOTPROD_ROWS(3, name, type, end) \
    QIR_DOTPROD_ROWS(4, name, type, end) QIR_DOTPROD_ROWS(5, name, type, end) QIR_DOTPROD_ROWS(6, name, type, end) \
    static qir_panel_tile *const name##_tiles[] = {name##_1, name##_2, name##_3, name##_4, name##_5, name##_6};

#endif
