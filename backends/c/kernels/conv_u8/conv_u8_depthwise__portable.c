#include "conv_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
/* template: end */

/* One input and one output channel a group. Weights: [kernel taps][channels]. Channels go by sixteen, so that their
   accumulators stay in registers over the taps. */
void qir_conv_u8s8_depthwise_T__portable(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                                         const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                         const float *QIR_RESTRICT multiplier, QIR_Y *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int32_t channels = s->groups, zero = s->x_zero_point, pixels = qir_pixels(win);
    int32_t pixel, first;
    for (pixel = 0; pixel < pixels; ++pixel) {
        qir_taps t;
        qir_find_taps(win, pixel, &t);
        for (first = 0; first < channels; first += 16) {
            const int32_t width = channels - first < 16 ? channels - first : 16;
            int32_t acc[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
            int32_t a, b, c, j;
            for (a = t.first[0]; a < t.last[0]; ++a) {
                for (b = t.first[1]; b < t.last[1]; ++b) {
                    for (c = t.first[2]; c < t.last[2]; ++c) {
                        const uint8_t *const from = x + qir_under_tap(win, &t, a, b, c) * channels + first;
                        const int8_t *const tap =
                            w + (ptrdiff_t)((a * win->kernel[1] + b) * win->kernel[2] + c) * channels + first;
                        if (width == 16) {
                            for (j = 0; j < 16; ++j) {
                                acc[j] += (from[j] - zero) * tap[j];
                            }
                        } else {
                            for (j = 0; j < width; ++j) {
                                acc[j] += (from[j] - zero) * tap[j];
                            }
                        }
                    }
                }
            }
            for (j = 0; j < width; ++j) {
                QIR_STORE(bias[first + j] + acc[j], multiplier[first + j], &s->requant, y++);
            }
        }
    }
}
