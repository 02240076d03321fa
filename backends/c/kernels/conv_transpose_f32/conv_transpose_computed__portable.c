#include "conv_transpose_f32.h"

/* template: begin */
#define QIR_T float
/* template: end */

/* The input position along an axis that a tap carries to output o, or -1. */
static int32_t qir_conv_transpose_computed_T_from(const qir_window *w, int32_t axis, int32_t o, int32_t tap) {
    const int32_t reach = o + w->pad[axis] - tap * w->dilation[axis];
    const int32_t p = reach / w->stride[axis];
    return reach >= 0 && p * w->stride[axis] == reach && p < w->in[axis] ? p : -1;
}

/* Weights that are computed, or of another type than float32, in ONNX's order: [group][in_channels][out_channels][taps].
   Sums run over taps row by row, then channels, ascending; the bias comes last. */
void qir_conv_transpose_computed_T__portable(const qir_conv_transpose_f32_shape *s, const QIR_T *QIR_RESTRICT x,
                                             const QIR_T *QIR_RESTRICT w, const QIR_T *QIR_RESTRICT bias,
                                             QIR_T *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const ptrdiff_t taps = (ptrdiff_t)win->kernel[0] * win->kernel[1] * win->kernel[2];
    const ptrdiff_t in_all = (ptrdiff_t)s->groups * s->in_channels;
    const int32_t pixels = qir_pixels(win), channels = s->groups * s->out_channels;
    int32_t pixel, channel;
    for (pixel = 0; pixel < pixels; ++pixel) {
        const int32_t o2 = pixel % win->out[2], o1 = pixel / win->out[2] % win->out[1];
        const int32_t plane = pixel / win->out[2] / win->out[1], o0 = plane % win->out[0], n = plane / win->out[0];
        for (channel = 0; channel < channels; ++channel) {
            const int32_t g = channel / s->out_channels;
            const QIR_T *const weights =
                w + ((ptrdiff_t)g * s->in_channels * s->out_channels + channel % s->out_channels) * taps;
            QIR_T acc = 0;
            int32_t a, b, c, i;
            for (a = 0; a < win->kernel[0]; ++a) {
                const int32_t p0 = qir_conv_transpose_computed_T_from(win, 0, o0, a);
                for (b = 0; p0 >= 0 && b < win->kernel[1]; ++b) {
                    const int32_t p1 = qir_conv_transpose_computed_T_from(win, 1, o1, b);
                    for (c = 0; p1 >= 0 && c < win->kernel[2]; ++c) {
                        const int32_t p2 = qir_conv_transpose_computed_T_from(win, 2, o2, c);
                        if (p2 >= 0) {
                            const ptrdiff_t row = (((ptrdiff_t)n * win->in[0] + p0) * win->in[1] + p1) * win->in[2] + p2;
                            const QIR_T *const from = x + row * in_all + (ptrdiff_t)g * s->in_channels;
                            const QIR_T *const tap = weights + (ptrdiff_t)(a * win->kernel[1] + b) * win->kernel[2] + c;
                            for (i = 0; i < s->in_channels; ++i) {
                                acc += from[i] * tap[i * taps * s->out_channels];
                            }
                        }
                    }
                }
            }
            *y++ = acc + bias[channel];
        }
    }
}
