#include "conv_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
/* template: end */

/* Weights: [group][ceil(out_channels / 8)][kernel taps][in_channels][8], zeros beyond the last channel: one activation
   meets eight accumulators that stay in registers. bias and multiplier: [group][out_channels]. */
void qir_conv_u8s8_T__portable(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                               const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                               const float *QIR_RESTRICT multiplier, QIR_Y *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const ptrdiff_t tap_bytes = (ptrdiff_t)s->in_channels * 8;
    const ptrdiff_t block_bytes = tap_bytes * win->kernel[0] * win->kernel[1] * win->kernel[2];
    const ptrdiff_t in_all = (ptrdiff_t)s->groups * s->in_channels;
    const int32_t channels = s->in_channels, zero = s->x_zero_point, pixels = qir_pixels(win);
    int32_t pixel;
    for (pixel = 0; pixel < pixels; ++pixel) {
        const int8_t *block = w;
        int32_t channel = 0, g;
        qir_taps t;
        qir_find_taps(win, pixel, &t);
        for (g = 0; g < s->groups; ++g) {
            int32_t left;
            for (left = s->out_channels; left > 0; left -= 8) {
                const int32_t width = left < 8 ? left : 8;
                int32_t acc[8] = {0, 0, 0, 0, 0, 0, 0, 0};
                int32_t a, b, c, i, j;
                for (a = t.first[0]; a < t.last[0]; ++a) {
                    for (b = t.first[1]; b < t.last[1]; ++b) {
                        for (c = t.first[2]; c < t.last[2]; ++c) {
                            const uint8_t *const from =
                                x + qir_under_tap(win, &t, a, b, c) * in_all + (ptrdiff_t)g * channels;
                            const int8_t *tap = block + ((a * win->kernel[1] + b) * win->kernel[2] + c) * tap_bytes;
                            for (i = 0; i < channels; ++i, tap += 8) {
                                const int32_t v = from[i] - zero;
                                for (j = 0; j < 8; ++j) {
                                    acc[j] += v * tap[j];
                                }
                            }
                        }
                    }
                }
                for (j = 0; j < width; ++j, ++channel) {
                    QIR_STORE(bias[channel] + acc[j], multiplier[channel], &s->requant, y++);
                }
                block += block_bytes;
            }
        }
    }
}
