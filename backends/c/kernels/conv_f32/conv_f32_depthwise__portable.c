#include "conv_f32.h"

/* Sixteen channels of one output pixel. */
QIR_VECTORS static void qir_conv_f32_depthwise_block(const qir_window *win, const qir_taps *t, ptrdiff_t channels,
                                                     const float *QIR_RESTRICT x, const float *QIR_RESTRICT w,
                                                     const float *QIR_RESTRICT bias, float *QIR_RESTRICT y) {
    float acc[16] = {0};
    int32_t a, b, c, j;
    for (a = t->first[0]; a < t->last[0]; ++a) {
        for (b = t->first[1]; b < t->last[1]; ++b) {
            const float *tap = w + ((a * win->kernel[1] + b) * win->kernel[2] + t->first[2]) * channels;
            for (c = t->first[2]; c < t->last[2]; ++c, tap += channels) {
                const float *const from = x + qir_under_tap(win, t, a, b, c) * channels;
                for (j = 0; j < 16; ++j) {
                    acc[j] += from[j] * tap[j];
                }
            }
        }
    }
    for (j = 0; j < 16; ++j) {
        y[j] = acc[j] + bias[j];
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
