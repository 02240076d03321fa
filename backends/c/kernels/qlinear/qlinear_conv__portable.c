#include "qlinear.h"

/* template: begin */
#define QIR_A uint8_t
#define QIR_B int8_t
#define QIR_Y int32_t
#define QIR_STORE qir_qlinear_store_s32
/* template: end */

/* x [N, D, H, W, C], y [N, D, H, W, M], w in ONNX's order [M, C / groups, taps]. */
void qir_qlinear_conv_T__portable(const qir_qlinear_conv_shape *s, const QIR_A *QIR_RESTRICT x,
                                  const float *QIR_RESTRICT x_scale, const QIR_A *QIR_RESTRICT x_zero,
                                  const QIR_B *QIR_RESTRICT w, const float *QIR_RESTRICT w_scale,
                                  const QIR_B *QIR_RESTRICT w_zero, const float *QIR_RESTRICT y_scale,
                                  const QIR_Y *QIR_RESTRICT y_zero, const int32_t *QIR_RESTRICT bias,
                                  QIR_Y *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const ptrdiff_t taps = (ptrdiff_t)win->kernel[0] * win->kernel[1] * win->kernel[2];
    const ptrdiff_t in_all = (ptrdiff_t)s->groups * s->in_channels;
    const int32_t pixels = qir_pixels(win), channels = s->groups * s->out_channels;
    int32_t pixel, channel;
    for (pixel = 0; pixel < pixels; ++pixel) {
        qir_taps t;
        qir_find_taps(win, pixel, &t);
        for (channel = 0; channel < channels; ++channel) {
            const QIR_B *const weights = w + channel * taps * s->in_channels;
            const QIR_A *const group = x + channel / s->out_channels * (ptrdiff_t)s->in_channels;
            const int32_t zero = w_zero[(ptrdiff_t)channel * s->w_zero_stride];
            const float scale = w_scale[(ptrdiff_t)channel * s->w_scale_stride];
            uint32_t acc = (uint32_t)bias[channel];
            int32_t a, b, c, i;
            for (a = t.first[0]; a < t.last[0]; ++a) {
                for (b = t.first[1]; b < t.last[1]; ++b) {
                    for (c = t.first[2]; c < t.last[2]; ++c) {
                        const QIR_A *const from = group + qir_under_tap(win, &t, a, b, c) * in_all;
                        const QIR_B *const tap = weights + (ptrdiff_t)(a * win->kernel[1] + b) * win->kernel[2] + c;
                        for (i = 0; i < s->in_channels; ++i) {
                            acc += (uint32_t)((from[i] - *x_zero) * (tap[i * taps] - zero));
                        }
                    }
                }
            }
            QIR_STORE(acc, *x_scale * scale / *y_scale, *y_zero, y++);
        }
    }
}
