#include "../conv_u8_mve.h"

/* template: begin */
#define QIR_ROUNDED QIR_MVE_REAL
#define QIR_RESULT QIR_MVE_REAL_WORDS
#define QIR_TOGETHER 16
#define QIR_PIXELS QIR_MVE_DEPTHWISE_16
/* template: end */

QIR_PIXELS(qir_conv_u8s8_depthwise_T_mve_pixels, QIR_ROUNDED)

/* Where the taps of a window are; at `outside` where these are not inside the input. */
static QIR_ALONE void qir_conv_u8s8_depthwise_T_mve_find(const qir_window *w, const qir_conv_u8_place *place,
                                                         const ptrdiff_t *step, const uint8_t *x, const uint8_t *outside,
                                                         const uint8_t **tap) {
    int32_t k, l, m, plane = place->start[0];
    x += place->sample * w->in[0] * step[0];
    for (k = w->kernel[0]; k > 0; --k, plane += w->dilation[0]) {
        int32_t row = place->start[1];
        for (l = w->kernel[1]; l > 0; --l, row += w->dilation[1]) {
            const int inside = (uint32_t)plane < (uint32_t)w->in[0] && (uint32_t)row < (uint32_t)w->in[1];
            const uint32_t across = inside ? (uint32_t)w->in[2] : 0;
            const uint8_t *const from = x + plane * step[0] + row * step[1];
            int32_t column = place->start[2];
            for (m = w->kernel[2]; m > 0; --m, column += w->dilation[2]) {
                *tap++ = (uint32_t)column < across ? from + column * step[2] : outside;
            }
        }
    }
}

/* Any window. Weights: [QIR_TOGETHER channels][tap][QIR_TOGETHER]; results: [QIR_TOGETHER channels][QIR_TOGETHER /
   4][QIR_RESULT], see QIR_MVE_DEPTHWISE. The last channels lap over those before; where there are fewer than go together,
   zeros fill them up. Taps outside the input have the code of zero. scratch: pointers to the taps of a pixel, and a pixel
   outside the input. */
void qir_conv_u8s8_depthwise_T__mve(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                                    const int8_t *QIR_RESTRICT w, const uint32_t *QIR_RESTRICT results,
                                    void *QIR_RESTRICT scratch, uint8_t *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int32_t channels = s->groups;
    const int32_t width = channels < QIR_TOGETHER ? channels : QIR_TOGETHER;
    const qir_conv_u8_insides insides = qir_conv_u8_all_inside(s);
    const uint8_t **const tap = (const uint8_t **)scratch;
    qir_mve_taps t;
    uint8_t *outside;
    int32_t left = qir_pixels(win), count, channel;
    qir_conv_u8_place place = qir_conv_u8_first(s);
    t.taps = win->kernel[0] * win->kernel[1] * win->kernel[2];
    t.zero_point = s->requant.zero_point;
    t.least = s->requant.low + t.zero_point;
    t.most = s->requant.high + t.zero_point;
    t.x_step = (ptrdiff_t)win->stride[2] * channels;
    t.y_step = channels;
    outside = (uint8_t *)(tap + t.taps);
    memset(outside, s->x_zero_point, (size_t)channels);
    for (; left > 0; left -= count, y += count * channels) {
        qir_conv_u8s8_depthwise_T_mve_find(win, &place, insides.step, x, outside, tap);
        count = 1;
        if (qir_conv_u8_inside(win, &insides, x, &place)) {
            count = qir_conv_u8_mve_follow(win, &insides, &place, left);
        }
        for (channel = 0; channel < channels; channel += QIR_TOGETHER) {
            const int32_t c = channel + width <= channels ? channel : channels - width;
            qir_conv_u8s8_depthwise_T_mve_pixels(tap, c, w + (ptrdiff_t)channel * t.taps, &t,
                                                 results + channel / 4 * QIR_RESULT, width, y + c, count);
        }
        qir_conv_u8_next(win, &place);
    }
}
