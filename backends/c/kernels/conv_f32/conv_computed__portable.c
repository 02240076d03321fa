#include "conv_f32.h"

/* template: begin */
#define QIR_T float
/* template: end */

/* Weights that are computed, or of another type than float32, in ONNX's order:
   [group][out_channels][in_channels][kernel taps]. */
void qir_conv_computed_T__portable(const qir_conv_f32_shape *s, const QIR_T *QIR_RESTRICT x, const QIR_T *QIR_RESTRICT w,
                                   const QIR_T *QIR_RESTRICT bias, QIR_T *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const ptrdiff_t taps = (ptrdiff_t)win->kernel[0] * win->kernel[1] * win->kernel[2];
    const ptrdiff_t in_all = (ptrdiff_t)s->groups * s->in_channels;
    const int32_t pixels = qir_pixels(win), channels = s->groups * s->out_channels;
    int32_t pixel, channel;
    for (pixel = 0; pixel < pixels; ++pixel) {
        qir_taps t;
        qir_find_taps(win, pixel, &t);
        for (channel = 0; channel < channels; ++channel) {
            const QIR_T *const weights = w + channel * taps * s->in_channels;
            const QIR_T *const group = x + channel / s->out_channels * (ptrdiff_t)s->in_channels;
            QIR_T acc = 0;
            int32_t a, b, c, i;
            for (a = t.first[0]; a < t.last[0]; ++a) {
                for (b = t.first[1]; b < t.last[1]; ++b) {
                    for (c = t.first[2]; c < t.last[2]; ++c) {
                        const QIR_T *const from = group + qir_under_tap(win, &t, a, b, c) * in_all;
                        const QIR_T *const tap = weights + (ptrdiff_t)(a * win->kernel[1] + b) * win->kernel[2] + c;
                        for (i = 0; i < s->in_channels; ++i) {
                            acc += from[i] * tap[i * taps];
                        }
                    }
                }
            }
            *y++ = acc + bias[channel];
        }
    }
}
