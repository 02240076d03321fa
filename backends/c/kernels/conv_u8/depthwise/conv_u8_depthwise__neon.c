#include "conv_u8_depthwise_neon.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_neon_store16_u8
/* template: end */

/* Adds sixteen sums of 16 bits. */
static QIR_INLINE void qir_conv_u8s8_depthwise_T_neon_add(int32x4_t sums[4], int16x8_t low, int16x8_t high) {
    sums[0] = vaddw_s16(sums[0], vget_low_s16(low));
    sums[1] = vaddw_s16(sums[1], vget_high_s16(low));
    sums[2] = vaddw_s16(sums[2], vget_low_s16(high));
    sums[3] = vaddw_s16(sums[3], vget_high_s16(high));
}

/* Sixteen channels of a pixel, `from` the first on. Two products are added up in 16 bits: at most 128 * 128 +
   128 * 127 < 2^15, because the binder refuses two weights -128 in one such pair. */
static QIR_INLINE void qir_conv_u8s8_depthwise_T_neon_block(const uint8_t *const *tap, int32_t taps, ptrdiff_t from,
                                                            const int8_t *w, ptrdiff_t channels, const int32_t *bias,
                                                            const float *multiplier, qir_requant4 q, QIR_Y *y) {
    const float32x4_t scale[4] = {vld1q_f32(multiplier), vld1q_f32(multiplier + 4), vld1q_f32(multiplier + 8),
                                  vld1q_f32(multiplier + 12)};
    int32x4_t sums[4] = {vld1q_s32(bias), vld1q_s32(bias + 4), vld1q_s32(bias + 8), vld1q_s32(bias + 12)};
    for (; taps >= 2; taps -= 2, tap += 2, w += 2 * channels) {
        const int8x16_t a = qir_depthwise_signed16(vld1q_u8(tap[0] + from)), v = vld1q_s8(w);
        const int8x16_t b = qir_depthwise_signed16(vld1q_u8(tap[1] + from)), u = vld1q_s8(w + channels);
        qir_conv_u8s8_depthwise_T_neon_add(
            sums, vmlal_s8(vmull_s8(vget_low_s8(a), vget_low_s8(v)), vget_low_s8(b), vget_low_s8(u)),
            vmlal_s8(vmull_s8(vget_high_s8(a), vget_high_s8(v)), vget_high_s8(b), vget_high_s8(u)));
    }
    if (taps) {
        const int8x16_t a = qir_depthwise_signed16(vld1q_u8(tap[0] + from)), v = vld1q_s8(w);
        qir_conv_u8s8_depthwise_T_neon_add(sums, vmull_s8(vget_low_s8(a), vget_low_s8(v)),
                                           vmull_s8(vget_high_s8(a), vget_high_s8(v)));
    }
    QIR_STORE16(sums, scale, q, y);
}

/* Where the taps of a pixel are; outside the input, at `outside`. */
static QIR_INLINE void qir_conv_u8s8_depthwise_T_neon_taps(const qir_conv_u8_shape *s, int32_t pixel, const uint8_t *x,
                                                           const uint8_t *outside, const uint8_t **tap) {
    const qir_window *const win = &s->window;
    const ptrdiff_t step = (ptrdiff_t)win->dilation[2] * s->groups;
    int32_t a, b, c;
    qir_taps t;
    qir_find_taps(win, pixel, &t);
    for (a = 0; a < win->kernel[0]; ++a) {
        for (b = 0; b < win->kernel[1]; ++b) {
            const int inside = a >= t.first[0] && a < t.last[0] && b >= t.first[1] && b < t.last[1];
            ptrdiff_t at = qir_under_tap(win, &t, a, b, 0) * s->groups;
            for (c = 0; c < win->kernel[2]; ++c, at += step) {
                *tap++ = inside && c >= t.first[2] && c < t.last[2] ? x + at : outside;
            }
        }
    }
}

/* Any window, at least sixteen channels, the last of which may lap over those before. scratch: pointers to the taps of
   a pixel, and a pixel outside the input. */
void qir_conv_u8s8_depthwise_T__neon(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                                     const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                     const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT scratch,
                                     QIR_Y *QIR_RESTRICT y) {
    const int32_t channels = s->groups, pixels = qir_pixels(&s->window);
    const int32_t taps = s->window.kernel[0] * s->window.kernel[1] * s->window.kernel[2];
    const qir_requant4 q = qir_widen_requant4(&s->requant);
    const uint8_t **const tap = (const uint8_t **)scratch;
    uint8_t *const outside = (uint8_t *)(tap + taps);
    int32_t pixel, channel;
    memset(outside, s->x_zero_point, (size_t)channels);
    for (pixel = 0; pixel < pixels; ++pixel, y += channels) {
        qir_conv_u8s8_depthwise_T_neon_taps(s, pixel, x, outside, tap);
        for (channel = 0; channel < channels; channel += 16) {
            const int32_t c = channel + 16 <= channels ? channel : channels - 16;
            qir_conv_u8s8_depthwise_T_neon_block(tap, taps, c, w + c, channels, bias + c, multiplier + c, q, y + c);
        }
    }
}
