#include "conv_f32.h"

/* template: begin */
#define QIR_W float
#define QIR_TAPS qir_conv_f32f32_depthwise_taps
#define QIR_SPAN channels
#define QIR_STEP channels
#define QIR_NEXT 8
/* template: end */

/* Weights that are floats already. */
static inline const float *qir_conv_f32f32_depthwise_taps(const QIR_W *w, const float *scale, const int16_t *zero_point,
                                                       int32_t first, int32_t taps, float *room) {
    (void)scale;
    (void)zero_point;
    (void)taps;
    (void)room;
    return (const float *)(const void *)w + first;
}

/* Sixteen channels of one output pixel, in two halves: longer loops over accumulators are not kept in registers. */
QIR_VECTORS static void qir_conv_f32f32_depthwise_block(const qir_window *win, const qir_taps *t, ptrdiff_t channels,
                                                     const float *QIR_RESTRICT x, const float *QIR_RESTRICT w,
                                                     ptrdiff_t step, ptrdiff_t next, const float *QIR_RESTRICT bias,
                                                     float *QIR_RESTRICT y) {
    float low[8] = {0}, high[8] = {0};
    int32_t a, b, c, j;
    for (a = t->first[0]; a < t->last[0]; ++a) {
        for (b = t->first[1]; b < t->last[1]; ++b) {
            const float *tap = w + ((a * win->kernel[1] + b) * win->kernel[2] + t->first[2]) * step;
            const float *from = x + qir_under_tap(win, t, a, b, t->first[2]) * channels;
            for (c = t->first[2]; c < t->last[2]; ++c, tap += step, from += win->dilation[2] * channels) {
                for (j = 0; j < 8; ++j) {
                    low[j] += from[j] * tap[j];
                }
                for (j = 0; j < 8; ++j) {
                    high[j] += from[8 + j] * tap[next + j];
                }
            }
        }
    }
    for (j = 0; j < 8; ++j) {
        y[j] = low[j] + bias[j];
        y[8 + j] = high[j] + bias[8 + j];
    }
}

/* One input and one output channel a group. Weights: [kernel taps][channels], or codes for QIR_TAPS, which gives floats of
   QIR_SPAN channels at a time: taps QIR_STEP apart, eight channels QIR_NEXT from the next. scratch, of codes alone: floats
   [16][kernel taps]. */
void qir_conv_f32f32_depthwise__portable(const qir_conv_f32_shape *s, const float *QIR_RESTRICT x,
                                      const QIR_W *QIR_RESTRICT w, const float *QIR_RESTRICT scale,
                                      const int16_t *QIR_RESTRICT zero_point, const float *QIR_RESTRICT bias,
                                      float *QIR_RESTRICT y, void *scratch) {
    const qir_window *const win = &s->window;
    const int32_t channels = s->groups, pixels = qir_pixels(win);
    const int32_t taps = win->kernel[0] * win->kernel[1] * win->kernel[2];
    int32_t first, pixel, j;
    for (first = 0; first < channels; first += QIR_SPAN) {
        const int32_t end = channels - first < QIR_SPAN ? channels : first + QIR_SPAN;
        const float *const weights = QIR_TAPS(w, scale, zero_point, first, taps, (float *)scratch);
        for (pixel = 0; pixel < pixels; ++pixel) {
            float *const to = y + (ptrdiff_t)pixel * channels;
            qir_taps t;
            qir_find_taps(win, pixel, &t);
            for (j = first; j + 16 <= end; j += 16) {
                qir_conv_f32f32_depthwise_block(win, &t, channels, x + j, weights + (j - first), QIR_STEP, QIR_NEXT,
                                             bias + j, to + j);
            }
            for (; j < end; ++j) {
                const float *const from = weights + (j - first) / 8 * QIR_NEXT + (j - first) % 8;
                float acc = 0.0f;
                int32_t a, b, c;
                for (a = t.first[0]; a < t.last[0]; ++a) {
                    for (b = t.first[1]; b < t.last[1]; ++b) {
                        for (c = t.first[2]; c < t.last[2]; ++c) {
                            acc += x[qir_under_tap(win, &t, a, b, c) * channels + j] *
                                   from[(ptrdiff_t)((a * win->kernel[1] + b) * win->kernel[2] + c) * QIR_STEP];
                        }
                    }
                }
                to[j] = acc + bias[j];
            }
        }
    }
}
