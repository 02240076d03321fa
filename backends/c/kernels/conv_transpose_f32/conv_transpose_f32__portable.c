#include "conv_transpose_f32.h"

/* template: begin */
#define QIR_W float
#define QIR_GROUP 8
#define QIR_FLOATS qir_floats_f32
/* template: end */

/* The first channel of the output pixel to which a tap carries an input pixel, or NULL outside the output. */
static float *qir_conv_transpose_f32f32_to(const qir_conv_transpose_f32_shape *s, int32_t pixel, int32_t tap, float *y) {
    const qir_window *const w = &s->window;
    int32_t axis, at[3];
    for (axis = 2; axis >= 0; --axis) {
        at[axis] = pixel % w->in[axis] * w->stride[axis] + tap % w->kernel[axis] * w->dilation[axis] - w->pad[axis];
        if (at[axis] < 0 || at[axis] >= w->out[axis]) {
            return NULL;
        }
        pixel /= w->in[axis];
        tap /= w->kernel[axis];
    }
    return y + ((((ptrdiff_t)pixel * w->out[0] + at[0]) * w->out[1] + at[1]) * w->out[2] + at[2]) * s->groups *
                   s->out_channels;
}

/* y starts as the bias; then input pixels in order add their products (sums over channels ascending), taps row by row.
   Weights: [group][taps][ceil(out_channels / 8)][in_channels][8], zeros beyond the last channel; eight take QIR_GROUP
   elements. scale, zero_point, of codes alone: [group][ceil(out_channels / 8)][8]. scratch, of codes alone: floats
   [in_channels][8]. */
void qir_conv_transpose_f32f32__portable(const qir_conv_transpose_f32_shape *s, const float *QIR_RESTRICT x,
                                         const QIR_W *QIR_RESTRICT w, const float *QIR_RESTRICT scale,
                                         const int16_t *QIR_RESTRICT zero_point, const float *QIR_RESTRICT bias,
                                         float *QIR_RESTRICT y, void *scratch) {
    const qir_window *const win = &s->window;
    const int32_t inputs = win->batch * win->in[0] * win->in[1] * win->in[2], outputs = qir_pixels(win);
    const int32_t taps = win->kernel[0] * win->kernel[1] * win->kernel[2];
    const ptrdiff_t in_all = (ptrdiff_t)s->groups * s->in_channels, out_all = (ptrdiff_t)s->groups * s->out_channels;
    const int32_t filled = (s->out_channels + 7) / 8 * 8;
    int32_t pixel;
    for (pixel = 0; pixel < outputs; ++pixel) {
        (void)memcpy(y + pixel * out_all, bias, (size_t)out_all * sizeof(float));
    }
    for (pixel = 0; pixel < inputs; pixel += 4) {
        const int32_t rows = inputs - pixel < 4 ? inputs - pixel : 4;
        const QIR_W *block = w;
        int32_t g, tap, first, r, j;
        for (g = 0; g < s->groups; ++g) {
            const float *const from = x + pixel * in_all + (ptrdiff_t)g * s->in_channels;
            for (tap = 0; tap < taps; ++tap) {
                float *to[4];
                for (r = 0; r < rows; ++r) {
                    to[r] = qir_conv_transpose_f32f32_to(s, pixel + r, tap, y);
                }
                for (first = 0; first < s->out_channels; first += 8, block += (ptrdiff_t)s->in_channels * QIR_GROUP) {
                    const float *const weights = QIR_FLOATS(block, scale, zero_point, g * filled + first,
                                                            s->in_channels, (float *)scratch);
                    const int32_t width = s->out_channels - first < 8 ? s->out_channels - first : 8;
                    float acc[32];
                    qir_tile_rows_f32(from, in_all, rows, weights, s->in_channels, acc);
                    for (r = 0; r < rows; ++r) {
                        for (j = 0; to[r] && j < width; ++j) {
                            to[r][(ptrdiff_t)g * s->out_channels + first + j] += acc[r * 8 + j];
                        }
                    }
                }
            }
        }
    }
}
