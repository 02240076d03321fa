#include "conv_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
/* template: end */

/* Neighbouring channels of one output pixel; x and w start at the first of them, `all` is the number of channels.
   The differences fit int16, and so said they become vector products of int16. */
static inline void qir_conv_u8s8_depthwise_T_block(const qir_conv_u8_shape *s, const qir_taps *t, const uint8_t *x,
                                                   const int8_t *w, const int32_t *bias, const float *multiplier,
                                                   int32_t width, QIR_Y *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int16_t zero = (int16_t)s->x_zero_point;
    const ptrdiff_t all = s->groups, step = all * win->dilation[2];
    int32_t acc[16];
    int32_t a, b, c, j;
    QIR_LANES
    for (j = 0; j < width; ++j) {
        acc[j] = bias[j];
    }
    for (a = t->first[0]; a < t->last[0]; ++a) {
        for (b = t->first[1]; b < t->last[1]; ++b) {
            const uint8_t *from = x + qir_under_tap(win, t, a, b, t->first[2]) * all;
            const int8_t *tap = w + ((ptrdiff_t)(a * win->kernel[1] + b) * win->kernel[2] + t->first[2]) * all;
            for (c = t->first[2]; c < t->last[2]; ++c, from += step, tap += all) {
                QIR_LANES
                for (j = 0; j < width; ++j) {
                    const int16_t v = (int16_t)(from[j] - zero);
                    acc[j] += v * (int16_t)tap[j];
                }
            }
        }
    }
    QIR_LANES
    for (j = 0; j < width; ++j) {
        QIR_STORE(acc[j], multiplier[j], &s->requant, y + j);
    }
}

/* One input and one output channel a group. Weights: [kernel taps][channels]. Channels go by sixteen, so that their
   accumulators stay in registers over the taps. */
void qir_conv_u8s8_depthwise_T__portable(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                                         const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                         const float *QIR_RESTRICT multiplier, QIR_Y *QIR_RESTRICT y) {
    const int32_t channels = s->groups, pixels = qir_pixels(&s->window);
    int32_t pixel, i;
    for (pixel = 0; pixel < pixels; ++pixel, y += channels) {
        qir_taps t;
        qir_find_taps(&s->window, pixel, &t);
        for (i = 0; i + 16 <= channels; i += 16) {
            qir_conv_u8s8_depthwise_T_block(s, &t, x + i, w + i, bias + i, multiplier + i, 16, y + i);
        }
        if (i < channels) {
            qir_conv_u8s8_depthwise_T_block(s, &t, x + i, w + i, bias + i, multiplier + i, channels - i, y + i);
        }
    }
}
