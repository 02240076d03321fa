#include "../../runtime/qir_neon.h"
#include "conv_u8_blocks.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_neon_store16_u8
#define QIR_PART16 qir_part16_u8
#define QIR_ADD qir_neon_by_twos
/* template: end */

/* Tiles of one to four output pixels, two with the 16 registers of 32-bit ARM, by a panel of sixteen channels. Codes are
   copied less 128, as int8; the bias makes up for that. A vector of weights holds codes 0 and 1 of four channels, then
   codes 2 and 3; a pixel's codes are spread likewise, 0 and 1 four times, 2 and 3 four times: QIR_ADD's four sums are
   those of four channels. */
#if defined(__aarch64__)
#define QIR_SPREAD(codes, k) vqtbl1q_s8(codes, spread[k])
#else
#define QIR_PAIR(codes, at) vdup_lane_s16(at < 4 ? vget_low_s16(codes) : vget_high_s16(codes), (at) % 4)
#define QIR_SPREAD(codes, k)                                                                              \
    vreinterpretq_s8_s16(vcombine_s16(QIR_PAIR(vreinterpretq_s16_s8(codes), 2 * k),                       \
                                      QIR_PAIR(vreinterpretq_s16_s8(codes), 2 * k + 1)))
#endif
#define QIR_BEGIN(i) int32x4_t a##i = bias0, b##i = bias1, c##i = bias2, d##i = bias3;
#define QIR_SIXTEEN(i) const int8x16_t codes##i = vld1q_s8(x + i * stride);
#define QIR_FOUR(i) const int8x16_t codes##i = vreinterpretq_s8_s32(vdupq_n_s32(qir_four_bytes(x + i * stride)));
#define QIR_SUMS(i)                                           \
    {                                                         \
        const int8x16_t four = QIR_SPREAD(codes##i, step);    \
        a##i = QIR_ADD(a##i, four, w0);                       \
        b##i = QIR_ADD(b##i, four, w1);                       \
        c##i = QIR_ADD(c##i, four, w2);                       \
        d##i = QIR_ADD(d##i, four, w3);                       \
    }
#define QIR_STEP(n, k)                                             \
    {                                                              \
        enum { step = k };                                         \
        const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16);   \
        const int8x16_t w2 = vld1q_s8(w + 32), w3 = vld1q_s8(w + 48); \
        QIR_EACH_##n(QIR_SUMS) w += 64;                            \
    }
#define QIR_END(i)                                                              \
    {                                                                           \
        const int32x4_t sums[4] = {a##i, b##i, c##i, d##i};                     \
        QIR_STORE16(sums, scale, q, to + i * to_step);                             \
    }

#define QIR_TILE(n)                                                                                                   \
    QIR_IN_ORDER static void qir_conv_u8s8_T_neon_##n(const qir_conv_u8_tile *t, ptrdiff_t from, void *y) {              \
        const ptrdiff_t stride = t->stride;                                                                           \
        const void *const *segment = t->segment;                                                                      \
        const int8_t *w = t->weights;                                                                                 \
        const int32x4_t bias0 = vld1q_s32(t->bias), bias1 = vld1q_s32(t->bias + 4);                                   \
        const int32x4_t bias2 = vld1q_s32(t->bias + 8), bias3 = vld1q_s32(t->bias + 12);                              \
        const int32_t whole = t->channels >= 16;                                                                      \
        QIR_Y part[n * 16];                                                                                           \
        QIR_Y *const to = whole ? (QIR_Y *)y : part;                                                                  \
        const ptrdiff_t to_step = whole ? t->step : 16;                                                                  \
        int32_t segments = t->segments;                                                                               \
        QIR_INDICES QIR_EACH_##n(QIR_BEGIN) do {                                                                      \
            const int8_t *x = (const int8_t *)*segment++ + from;                                                      \
            int32_t steps = t->steps;                                                                                 \
            for (; steps >= 4; steps -= 4, x += 16) {                                                                 \
                QIR_EACH_##n(QIR_SIXTEEN) QIR_STEP(n, 0) QIR_STEP(n, 1) QIR_STEP(n, 2) QIR_STEP(n, 3)                 \
            }                                                                                                         \
            for (; steps > 0; --steps, x += 4) {                                                                      \
                QIR_EACH_##n(QIR_FOUR) QIR_STEP(n, 0)                                 \
            }                                                                                                         \
        } while (--segments);                                                                                         \
        {                                                                                                             \
            const qir_requant4 q = qir_widen_requant4(t->requant);                                                    \
            const float32x4_t scale[4] = {vld1q_f32(t->multiplier), vld1q_f32(t->multiplier + 4),                     \
                                          vld1q_f32(t->multiplier + 8), vld1q_f32(t->multiplier + 12)};               \
            QIR_EACH_##n(QIR_END)                                                                                     \
        }                                                                                                             \
        if (!whole) {                                                                                                 \
            QIR_PART16(part, n, t->channels, (QIR_Y *)y, t->step);                                                    \
        }                                                                                                             \
    }
#if defined(__aarch64__)
#define QIR_INDICES                                                                        \
    const uint8x16_t first = {0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3};             \
    const uint8x16_t spread[4] = {first, vaddq_u8(first, vdupq_n_u8(4)), vaddq_u8(first, vdupq_n_u8(8)), \
                                  vaddq_u8(first, vdupq_n_u8(12))};
#else
#define QIR_INDICES
#endif
QIR_TILE(1) QIR_TILE(2)
#if defined(__aarch64__)
QIR_TILE(3) QIR_TILE(4)
#endif
#undef QIR_SPREAD
#undef QIR_PAIR
#undef QIR_BEGIN
#undef QIR_SIXTEEN
#undef QIR_FOUR
#undef QIR_SUMS
#undef QIR_STEP
#undef QIR_END
#undef QIR_TILE
#undef QIR_INDICES

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
