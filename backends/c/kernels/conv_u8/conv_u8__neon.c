#include "conv_u8_neon.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_neon_store16_u8
#define QIR_PART16 qir_part16_u8
#define QIR_ADD qir_neon_by_twos
/* template: end */

/* Tiles of one to four output pixels, two with the 16 registers of 32-bit ARM, by a panel of sixteen channels. Codes
   are copied less 128, as int8; the bias makes up for that. A vector of weights holds codes 0 and 1 of four channels,
   then codes 2 and 3; a pixel's codes are spread likewise, 0 and 1 four times, 2 and 3 four times: QIR_ADD's four sums
   are those of four channels. */
#if defined(__aarch64__)
#define QIR_SPREADS                                                                                   \
    const uint8x16_t first = {0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3};                        \
    const uint8x16_t second = vaddq_u8(first, vdupq_n_u8(4)), third = vaddq_u8(first, vdupq_n_u8(8)); \
    const uint8x16_t spreads[4] = {first, second, third, vaddq_u8(first, vdupq_n_u8(12))};
#define QIR_SPREAD(codes) vqtbl1q_s8(codes, spreads[four])
#else
#define QIR_SPREADS
#define QIR_TWO(codes, at) vdup_lane_s16(at < 4 ? vget_low_s16(codes) : vget_high_s16(codes), (at) % 4)
#define QIR_SPREAD(codes)                                                             \
    vreinterpretq_s8_s16(vcombine_s16(QIR_TWO(vreinterpretq_s16_s8(codes), 2 * four), \
                                      QIR_TWO(vreinterpretq_s16_s8(codes), 2 * four + 1)))
#endif
#define QIR_SUMS(i)                                    \
    {                                                  \
        const int8x16_t spread = QIR_SPREAD(codes##i); \
        a##i = QIR_ADD(a##i, spread, w0);              \
        b##i = QIR_ADD(b##i, spread, w1);              \
        c##i = QIR_ADD(c##i, spread, w2);              \
        d##i = QIR_ADD(d##i, spread, w3);              \
    }
#define QIR_STEP(n, k)                                                                                         \
    {                                                                                                          \
        enum { four = k };                                                                                     \
        const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16), w2 = vld1q_s8(w + 32), w3 = vld1q_s8(w + 48); \
        QIR_EACH_##n(QIR_SUMS) w += 64;                                                                        \
    }
#define QIR_END(i)                                          \
    {                                                       \
        const int32x4_t sums[4] = {a##i, b##i, c##i, d##i}; \
        QIR_STORE16(sums, scale, q, to + i * step);         \
    }
#define QIR_TILE(n)                                                                                         \
    QIR_NEON_TILE(qir_conv_u8s8_T_neon_##n, QIR_Y, QIR_PART16, n, QIR_SPREADS QIR_EACH_##n(QIR_NEON_BEGIN), \
                  QIR_NEON_SEGMENT(n, QIR_STEP), QIR_EACH_##n(QIR_END))
QIR_TILE(1) QIR_TILE(2)
#if defined(__aarch64__)
QIR_TILE(3) QIR_TILE(4)
#endif
#undef QIR_SPREADS
#undef QIR_TWO
#undef QIR_SPREAD
#undef QIR_SUMS
#undef QIR_STEP
#undef QIR_END
#undef QIR_TILE

/* Weights: [group][panel of 16 channels][segment][step][4 channels][first two codes, last two][channel][2], zeros where
   there is no channel or code; bias, with (128 - x_zero_point) * sum of w, and multiplier: [group][panel][channel].
   scratch: see qir_conv_u8_open. */
void qir_conv_u8s8_T__neon(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b, const uint8_t *QIR_RESTRICT x,
                           const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                           const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
#if defined(__aarch64__)
    static qir_conv_u8_tile_function *const tile[] = {qir_conv_u8s8_T_neon_1, qir_conv_u8s8_T_neon_2,
                                                      qir_conv_u8s8_T_neon_3, qir_conv_u8s8_T_neon_4};
#else
    static qir_conv_u8_tile_function *const tile[] = {qir_conv_u8s8_T_neon_1, qir_conv_u8s8_T_neon_2};
#endif
    const qir_conv_u8_tiles tiles = {tile, sizeof tile / sizeof *tile, 1, QIR_CONV_U8_SIGNED, 64, sizeof(QIR_Y)};
    qir_conv_u8_by_panels(s, b, &tiles, x, w, bias, multiplier, scratch, y);
}
