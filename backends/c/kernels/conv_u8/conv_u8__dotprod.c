#include "conv_u8_neon.h"

#if !defined(__ARM_FEATURE_DOTPROD)
#error "these kernels need dot products: build with -march=armv8.2-a+dotprod"
#endif

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_neon_store16_u8
#define QIR_PART16 qir_part16_u8
/* template: end */

/* Tiles of one to six output pixels by a panel of sixteen channels: sdot adds to each of four sums the products of four
   codes with the weights of its channel, exactly. Both are signed: codes are copied less 128, and the bias makes up for
   that. Twenty-four sums and the codes of six pixels, sixteen of each, leave two of the 32 registers to weights. As
   builtin gcc copies sums around. */
#if defined(__GNUC__) && !defined(__clang__)
#define QIR_DOT(sum, codes, weights) \
    __asm__("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(sum) : "w"(weights), "w"(codes), "i"(lane))
#else
#define QIR_DOT(sum, codes, weights) ((sum) = vdotq_laneq_s32(sum, weights, codes, lane))
#endif
#define QIR_A(i) QIR_DOT(a##i, codes##i, w0);
#define QIR_B(i) QIR_DOT(b##i, codes##i, w1);
#define QIR_C(i) QIR_DOT(c##i, codes##i, w2);
#define QIR_D(i) QIR_DOT(d##i, codes##i, w3);
#define QIR_STEP(n, k)                                                                                        \
    {                                                                                                         \
        enum { lane = k };                                                                                    \
        const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16);                                              \
        QIR_EACH_##n(QIR_A) QIR_EACH_##n(QIR_B) const int8x16_t w2 = vld1q_s8(w + 32), w3 = vld1q_s8(w + 48); \
        QIR_EACH_##n(QIR_C) QIR_EACH_##n(QIR_D) w += 64;                                                      \
    }
#define QIR_END(i)                                          \
    {                                                       \
        const int32x4_t sums[4] = {a##i, b##i, c##i, d##i}; \
        QIR_STORE16(sums, scale, q, to + i * step);         \
    }
#define QIR_TILE(n)                                                                                \
    QIR_NEON_TILE(qir_conv_u8s8_T_dotprod_##n, QIR_Y, QIR_PART16, n, QIR_EACH_##n(QIR_NEON_BEGIN), \
                  QIR_NEON_SEGMENT(n, QIR_STEP), QIR_EACH_##n(QIR_END))
QIR_TILE(1) QIR_TILE(2) QIR_TILE(3) QIR_TILE(4) QIR_TILE(5) QIR_TILE(6)
#undef QIR_DOT
#undef QIR_A
#undef QIR_B
#undef QIR_C
#undef QIR_D
#undef QIR_STEP
#undef QIR_END
#undef QIR_TILE

/* Weights: [group][panel of 16 channels][segment][step][channel][4], zeros where there is no channel or code; bias,
   with (128 - x_zero_point) * sum of w, and multiplier: [group][panel][channel]. scratch: see qir_conv_u8_open. */
void qir_conv_u8s8_T__dotprod(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b, const uint8_t *QIR_RESTRICT x,
                           const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                           const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    static qir_conv_u8_tile_function *const tile[] = {
        qir_conv_u8s8_T_dotprod_1, qir_conv_u8s8_T_dotprod_2, qir_conv_u8s8_T_dotprod_3,
        qir_conv_u8s8_T_dotprod_4, qir_conv_u8s8_T_dotprod_5, qir_conv_u8s8_T_dotprod_6};
    const qir_conv_u8_tiles tiles = {tile, sizeof tile / sizeof *tile, 1, QIR_CONV_U8_SIGNED, 64, sizeof(QIR_Y)};
    qir_conv_u8_by_panels(s, b, &tiles, x, w, bias, multiplier, scratch, y);
}
