#include "../../runtime/qir_mve.h"
#include "conv_u8.h"

/* Where the taps of a window are; outside the input, at `outside`. */
static QIR_ALONE void qir_conv_u8s8_depthwise_u8_mve_taps(const qir_conv_u8_shape *s, int32_t pixel, const uint8_t *x,
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

/* Sixteen channels of a pixel, or as many as `lanes` says. Products of `run` taps, of codes less 128, are added up in 16
   bits: the binder checks that 128 * sum |w| < 2^15 over each run. Even channels and odd ones go apart, and again when
   their sums are widened; narrowing puts them side by side. bias and multiplier: [4][4] channels 0 4 8 12, 2 6 10 14,
   1 5 9 13, 3 7 11 15. */
static QIR_INLINE void qir_conv_u8s8_depthwise_u8_mve_block(const uint8_t *const *tap, int32_t taps, int32_t run,
                                                     ptrdiff_t from, const int8_t *w, ptrdiff_t channels,
                                                     const int32_t *bias, const float *multiplier, int32_t zero_point,
                                                     mve_pred16_t lanes, uint8x16_t least, uint8x16_t most, uint8_t *y) {
    int32x4_t a = vldrwq_s32(bias), b = vldrwq_s32(bias + 4), c = vldrwq_s32(bias + 8), d = vldrwq_s32(bias + 12);
    int16x8_t even, odd;
    uint8x16_t codes;
    while (taps > 0) {
        int32_t left = taps < run ? taps : run;
        taps -= left;
        even = odd = vdupq_n_s16(0);
        for (; left > 0; --left, w += channels) {
            const int8x16_t v = vldrbq_z_s8(w, lanes);
            const int8x16_t x = vreinterpretq_s8_u8(vaddq_n_u8(vldrbq_z_u8(*tap++ + from, lanes), 128));
            even = vaddq_s16(even, vmullbq_int_s8(x, v));
            odd = vaddq_s16(odd, vmulltq_int_s8(x, v));
        }
        a = vaddq_s32(a, vmovlbq_s16(even));
        b = vaddq_s32(b, vmovltq_s16(even));
        c = vaddq_s32(c, vmovlbq_s16(odd));
        d = vaddq_s32(d, vmovltq_s16(odd));
    }
#define QIR_CODES(sums, at) \
    vqaddq_n_s32(vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums), vldrwq_f32(multiplier + (at)))), zero_point)
    even = vqmovntq_s32(vqmovnbq_s32(vdupq_n_s16(0), QIR_CODES(a, 0)), QIR_CODES(b, 4));
    odd = vqmovntq_s32(vqmovnbq_s32(vdupq_n_s16(0), QIR_CODES(c, 8)), QIR_CODES(d, 12));
#undef QIR_CODES
    codes = vqmovuntq_s16(vqmovunbq_s16(vdupq_n_u8(0), even), odd);
    vstrbq_p_u8(y, vminq_u8(vmaxq_u8(codes, least), most), lanes);
}

/* Any window. Weights: [tap][channel]; bias, with 128 times the sum of the weights, and multiplier: [sixteen channels],
   the last ones of which lap over those before, see above. scratch: pointers to the taps of a pixel, and a pixel outside
   the input. */
void qir_conv_u8s8_depthwise_u8__mve(const qir_conv_u8_shape *s, int32_t run, const uint8_t *QIR_RESTRICT x,
                                     const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                     const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT scratch,
                                     uint8_t *QIR_RESTRICT y) {
    const int32_t channels = s->groups, pixels = qir_pixels(&s->window), width = channels < 16 ? channels : 16;
    const int32_t taps = s->window.kernel[0] * s->window.kernel[1] * s->window.kernel[2];
    const mve_pred16_t lanes = vctp8q((uint32_t)width);
    const qir_requant *const q = &s->requant;
    const uint8x16_t least = vdupq_n_u8((uint8_t)((int32_t)q->low + q->zero_point));
    const uint8x16_t most = vdupq_n_u8((uint8_t)((int32_t)q->high + q->zero_point));
    const uint8_t **const tap = (const uint8_t **)scratch;
    uint8_t *const outside = (uint8_t *)(tap + taps);
    int32_t pixel, channel;
    memset(outside, s->x_zero_point, (size_t)channels);
    for (pixel = 0; pixel < pixels; ++pixel, y += channels) {
        qir_conv_u8s8_depthwise_u8_mve_taps(s, pixel, x, outside, tap);
        for (channel = 0; channel < channels; channel += 16) {
            const int32_t c = channel + width <= channels ? channel : channels - width;
            qir_conv_u8s8_depthwise_u8_mve_block(tap, taps, run, c, w + c, channels, bias + channel, multiplier + channel,
                                          q->zero_point, lanes, least, most, y + c);
        }
    }
}
