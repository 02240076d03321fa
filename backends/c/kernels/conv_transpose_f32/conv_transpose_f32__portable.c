#include "conv_transpose_f32.h"

/* template: begin */
#define QIR_T float
/* template: end */

/* The input position along an axis that a tap carries to output o, or -1. */
static int32_t qir_conv_transpose_T_from(const qir_window *w, int32_t axis, int32_t o, int32_t tap) {
    const int32_t reach = o + w->pad[axis] - tap * w->dilation[axis];
    const int32_t p = reach / w->stride[axis];
    return reach >= 0 && p * w->stride[axis] == reach && p < w->in[axis] ? p : -1;
}

/* Adds one tap to eight output channels (fewer at the end of a group). */
static void qir_conv_transpose_T_add(const qir_conv_transpose_f32_shape *s, const QIR_T *QIR_RESTRICT x,
                                     const QIR_T *QIR_RESTRICT w, int32_t width, QIR_T *QIR_RESTRICT acc) {
    int32_t i, j;
    if (width == 8 && s->out_stride == 1) {
        for (i = 0; i < s->in_channels; ++i, w += s->channel_stride) {
            const QIR_T v = x[i];
            for (j = 0; j < 8; ++j) {
                acc[j] += v * w[j];
            }
        }
    } else {
        for (i = 0; i < s->in_channels; ++i, w += s->channel_stride) {
            for (j = 0; j < width; ++j) {
                acc[j] += x[i] * w[(ptrdiff_t)j * s->out_stride];
            }
        }
    }
}

void qir_conv_transpose_T__portable(const qir_conv_transpose_f32_shape *s, const QIR_T *QIR_RESTRICT x,
                                    const QIR_T *QIR_RESTRICT w, const QIR_T *QIR_RESTRICT bias, QIR_T *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const ptrdiff_t in_all = (ptrdiff_t)s->groups * s->in_channels;
    const int32_t pixels = qir_pixels(win);
    int32_t pixel;
    for (pixel = 0; pixel < pixels; ++pixel) {
        const int32_t o2 = pixel % win->out[2], o1 = pixel / win->out[2] % win->out[1];
        const int32_t plane = pixel / win->out[2] / win->out[1], o0 = plane % win->out[0], n = plane / win->out[0];
        int32_t g, first, a, b, c, j;
        for (g = 0; g < s->groups; ++g) {
            for (first = 0; first < s->out_channels; first += 8) {
                const int32_t width = s->out_channels - first < 8 ? s->out_channels - first : 8;
                const QIR_T *const weights = w + (ptrdiff_t)g * s->group_stride + (ptrdiff_t)(first / 8) * s->block_stride;
                QIR_T acc[8] = {0};
                for (a = 0; a < win->kernel[0]; ++a) {
                    const int32_t p0 = qir_conv_transpose_T_from(win, 0, o0, a);
                    for (b = 0; p0 >= 0 && b < win->kernel[1]; ++b) {
                        const int32_t p1 = qir_conv_transpose_T_from(win, 1, o1, b);
                        for (c = 0; p1 >= 0 && c < win->kernel[2]; ++c) {
                            const int32_t p2 = qir_conv_transpose_T_from(win, 2, o2, c);
                            if (p2 >= 0) {
                                const ptrdiff_t row = ((ptrdiff_t)n * win->in[0] + p0) * win->in[1] + p1;
                                const ptrdiff_t tap = (ptrdiff_t)(a * win->kernel[1] + b) * win->kernel[2] + c;
                                qir_conv_transpose_T_add(
                                    s, x + (row * win->in[2] + p2) * in_all + (ptrdiff_t)g * s->in_channels,
                                    weights + tap * s->tap_stride, width, acc);
                            }
                        }
                    }
                }
                for (j = 0; j < width; ++j) {
                    *y++ = acc[j] + bias[(ptrdiff_t)g * s->out_channels + first + j];
                }
            }
        }
    }
}
