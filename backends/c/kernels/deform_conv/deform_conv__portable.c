#include "deform_conv.h"

#include <math.h>

/* template: begin */
#define QIR_T float
#define QIR_FLOOR floorf
/* template: end */

static QIR_T qir_deform_conv_T_pixel(const QIR_T *x, int32_t height, int32_t width, int32_t row, int32_t column) {
    return row >= 0 && row < height && column >= 0 && column < width ? x[(ptrdiff_t)row * width + column] : 0;
}

static QIR_T qir_deform_conv_T_sample(const QIR_T *x, int32_t height, int32_t width, QIR_T row, QIR_T column) {
    if (row > -1 && row < (QIR_T)height && column > -1 && column < (QIR_T)width) {
        const int32_t r = (int32_t)QIR_FLOOR(row), c = (int32_t)QIR_FLOOR(column);
        const QIR_T v = row - (QIR_T)r, u = column - (QIR_T)c;
        const QIR_T upper = (1 - u) * qir_deform_conv_T_pixel(x, height, width, r, c) +
                            u * qir_deform_conv_T_pixel(x, height, width, r, c + 1);
        const QIR_T lower = (1 - u) * qir_deform_conv_T_pixel(x, height, width, r + 1, c) +
                            u * qir_deform_conv_T_pixel(x, height, width, r + 1, c + 1);
        return (1 - v) * upper + v * lower;
    }
    return 0;
}

/* Adds one moved tap of one input channel at an output pixel to all output channels of its group. */
void qir_deform_conv_T__portable(const qir_deform_conv_shape *s, const QIR_T *QIR_RESTRICT x,
                                 const QIR_T *QIR_RESTRICT w, const QIR_T *QIR_RESTRICT offset,
                                 const QIR_T *QIR_RESTRICT bias, const QIR_T *QIR_RESTRICT mask, QIR_T *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int32_t height = win->in[1], width = win->in[2], taps = win->kernel[1] * win->kernel[2];
    const int32_t per_in = s->channels / s->groups, per_out = s->out_channels / s->groups;
    const int32_t pixels = win->out[1] * win->out[2];
    int32_t n, o, c, i, t;
    for (n = 0; n < win->batch; ++n) {
        QIR_T *const to = y + (ptrdiff_t)n * s->out_channels * pixels;
        for (o = 0; o < pixels; ++o) {
            for (c = 0; c < s->out_channels; ++c) {
                to[(ptrdiff_t)c * pixels + o] = 0;
            }
            for (i = 0; i < s->channels; ++i) {
                const int32_t group = i / per_in, moved = i / (s->channels / s->offset_groups);
                for (t = 0; t < taps; ++t) {
                    const ptrdiff_t at = ((ptrdiff_t)n * s->offset_groups + moved) * taps + t;
                    const QIR_T row = (QIR_T)(o / win->out[2] * win->stride[1] - win->pad[1] +
                                              t / win->kernel[2] * win->dilation[1]) +
                                      offset[at * 2 * pixels + o];
                    const QIR_T column = (QIR_T)(o % win->out[2] * win->stride[2] - win->pad[2] +
                                                 t % win->kernel[2] * win->dilation[2]) +
                                         offset[(at * 2 + 1) * pixels + o];
                    const QIR_T v = qir_deform_conv_T_sample(x + ((ptrdiff_t)n * s->channels + i) * height * width,
                                                             height, width, row, column) *
                                    (s->masked ? mask[at * pixels + o] : 1);
                    for (c = group * per_out; c < (group + 1) * per_out; ++c) {
                        to[(ptrdiff_t)c * pixels + o] += v * w[((ptrdiff_t)c * per_in + i % per_in) * taps + t];
                    }
                }
            }
            for (c = 0; c < s->out_channels; ++c) {
                to[(ptrdiff_t)c * pixels + o] += bias[c];
            }
        }
    }
}
