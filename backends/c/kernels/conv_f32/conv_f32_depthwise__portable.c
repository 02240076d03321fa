#include "conv_f32.h"

/* Sixteen channels of one output pixel, in two halves: longer loops over accumulators are not kept in registers. */
QIR_VECTORS static void qir_conv_f32_depthwise_block(const qir_window *win, const qir_taps *t, ptrdiff_t channels,
                                                     const float *QIR_RESTRICT x, const float *QIR_RESTRICT w,
                                                     const float *QIR_RESTRICT bias, float *QIR_RESTRICT y) {
    float low[8] = {0}, high[8] = {0};
    int32_t a, b, c, j;
    for (a = t->first[0]; a < t->last[0]; ++a) {
        for (b = t->first[1]; b < t->last[1]; ++b) {
            const float *tap = w + ((a * win->kernel[1] + b) * win->kernel[2] + t->first[2]) * channels;
            const float *from = x + qir_under_tap(win, t, a, b, t->first[2]) * channels;
            for (c = t->first[2]; c < t->last[2]; ++c, tap += channels, from += win->dilation[2] * channels) {
                for (j = 0; j < 8; ++j) {
                    low[j] += from[j] * tap[j];
                }
                for (j = 0; j < 8; ++j) {
                    high[j] += from[8 + j] * tap[8 + j];
                }
            }
        }
    }
    for (j = 0; j < 8; ++j) {
        y[j] = low[j] + bias[j];
        y[8 + j] = high[j] + bias[8 + j];
    }
}

/* One input and one output channel a group. Weights: [kernel taps][channels]. */
void qir_conv_f32_depthwise__portable(const qir_conv_f32_shape *s, const float *QIR_RESTRICT x,
                                      const float *QIR_RESTRICT w, const float *QIR_RESTRICT bias,
                                      float *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int32_t channels = s->groups, pixels = qir_pixels(win);
    int32_t pixel, j;
    for (pixel = 0; pixel < pixels; ++pixel, y += channels) {
        qir_taps t;
        qir_find_taps(win, pixel, &t);
        for (j = 0; j + 16 <= channels; j += 16) {
            qir_conv_f32_depthwise_block(win, &t, channels, x + j, w + j, bias + j, y + j);
        }
        for (; j < channels; ++j) {
            float acc = 0.0f;
            int32_t a, b, c;
            for (a = t.first[0]; a < t.last[0]; ++a) {
                for (b = t.first[1]; b < t.last[1]; ++b) {
                    for (c = t.first[2]; c < t.last[2]; ++c) {
                        acc += x[qir_under_tap(win, &t, a, b, c) * channels + j] *
                               w[(ptrdiff_t)((a * win->kernel[1] + b) * win->kernel[2] + c) * channels + j];
                    }
                }
            }
            y[j] = acc + bias[j];
        }
    }
}
