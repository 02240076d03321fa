#include "../../runtime/qir_mve.h"
#include "conv_u8_window.h"

/* Where the taps of a window are; outside the input, at `outside`. */
typedef struct {
    const uint8_t *outside;
    const uint8_t **tap;
} qir_conv_u8s8_depthwise_u8_mve_line;

static QIR_INLINE void qir_conv_u8s8_depthwise_u8_mve_take(void *taker, const uint8_t *from, int32_t count) {
    qir_conv_u8s8_depthwise_u8_mve_line *const line = (qir_conv_u8s8_depthwise_u8_mve_line *)taker;
    if (count) {
        *line->tap++ = from ? from : line->outside;
    }
}

/* Whether all taps of a window are inside the input. */
static inline int qir_conv_u8s8_depthwise_u8_mve_inside(const qir_window *w, const qir_conv_u8_place *place) {
    int32_t axis;
    for (axis = 0; axis < 3; ++axis) {
        const int32_t last = place->start[axis] + (w->kernel[axis] - 1) * w->dilation[axis];
        if (place->start[axis] < 0 || last >= w->in[axis]) {
            return 0;
        }
    }
    return 1;
}

/* Any window. Weights: [sixteen channels][tap][16]; bias, with 128 times the sum of the weights, and multiplier: [sixteen
   channels][4][4], see qir_mve_depthwise. The last sixteen channels lap over those before; where there are fewer, zeros
   fill them up. scratch: pointers to the taps of a pixel, and a pixel outside the input. */
void qir_conv_u8s8_depthwise_u8__mve(const qir_conv_u8_shape *s, int32_t run, const uint8_t *QIR_RESTRICT x,
                                     const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                     const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT scratch,
                                     uint8_t *QIR_RESTRICT y) {
    const int32_t channels = s->groups, width = channels < 16 ? channels : 16;
    const int32_t lanes = (int32_t)((1u << width) - 1u);
    const uint8_t **const tap = (const uint8_t **)scratch;
    qir_mve_taps t;
    uint8_t *outside;
    const int32_t step = s->window.stride[2] * channels;
    int32_t left = qir_pixels(&s->window), inside = 0, channel, i;
    qir_conv_u8_place place = qir_conv_u8_first(s);
    t.taps = s->window.kernel[0] * s->window.kernel[1] * s->window.kernel[2];
    t.run = run;
    t.zero_point = s->requant.zero_point;
    t.least = s->requant.low + t.zero_point;
    t.most = s->requant.high + t.zero_point;
    outside = (uint8_t *)(tap + t.taps);
    memset(outside, s->x_zero_point, (size_t)channels);
    for (; left > 0; --left, y += channels) {
        const int32_t before = inside;
        inside = qir_conv_u8s8_depthwise_u8_mve_inside(&s->window, &place);
        if (before && inside && place.out[2] > 0) { /* as that of the pixel before, a step further */
            for (i = 0; i < t.taps; ++i) {
                tap[i] += step;
            }
        } else {
            qir_conv_u8s8_depthwise_u8_mve_line line;
            line.outside = outside;
            line.tap = tap;
            qir_conv_u8_take_window(s, x, &place, 0, qir_conv_u8s8_depthwise_u8_mve_take, &line);
        }
        for (channel = 0; channel < channels; channel += 16) {
            const int32_t c = channel + width <= channels ? channel : channels - width;
            qir_mve_depthwise(tap, c, w + (ptrdiff_t)channel * t.taps, &t, bias + channel, multiplier + channel, lanes,
                              y + c);
        }
        qir_conv_u8_next(&s->window, &place);
    }
}
