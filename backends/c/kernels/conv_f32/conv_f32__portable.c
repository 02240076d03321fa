#include "conv_f32.h"

/* template: begin */
#define QIR_W float
#define QIR_GROUP 8
#define QIR_FLOATS qir_floats_f32
/* template: end */

/* The inputs of one output pixel and group, taps row by row: [taps][in_channels], zeros outside the input. */
static void qir_conv_f32f32_gather(const qir_conv_f32_shape *s, const float *x, int32_t pixel, float *row) {
    const qir_window *const w = &s->window;
    const int32_t channels = s->in_channels;
    const ptrdiff_t in_all = (ptrdiff_t)s->groups * channels;
    const int32_t taps = w->kernel[0] * w->kernel[1] * w->kernel[2];
    const int32_t solid = w->dilation[2] == 1 && s->groups == 1;
    int32_t a, b, c, inside = 1;
    qir_taps t;
    qir_find_taps(w, pixel, &t);
    for (a = 0; a < 3; ++a) {
        inside = inside && t.first[a] == 0 && t.last[a] == w->kernel[a];
    }
    if (!inside) {
        (void)memset(row, 0, (size_t)taps * (size_t)channels * sizeof(float));
    }
    for (a = t.first[0]; a < t.last[0]; ++a) {
        for (b = t.first[1]; b < t.last[1]; ++b) {
            float *const to = row + (ptrdiff_t)(a * w->kernel[1] + b) * w->kernel[2] * channels;
            if (solid && t.first[2] < t.last[2]) {
                (void)memcpy(to + (ptrdiff_t)t.first[2] * channels, x + qir_under_tap(w, &t, a, b, t.first[2]) * in_all,
                       (size_t)(t.last[2] - t.first[2]) * (size_t)channels * sizeof(float));
            } else {
                for (c = t.first[2]; c < t.last[2]; ++c) {
                    (void)memcpy(to + (ptrdiff_t)c * channels, x + qir_under_tap(w, &t, a, b, c) * in_all,
                           (size_t)channels * sizeof(float));
                }
            }
        }
    }
}

/* Weights: [group][ceil(out_channels / 8)][kernel taps][in_channels][8], zeros beyond the last channel; eight take
   QIR_GROUP elements. scale, zero_point, of codes alone: [group][ceil(out_channels / 8)][8]. bias: [group][out_channels].
   scratch: floats [chunk][taps * in_channels], then, of codes alone, [taps * in_channels][8]. */
void qir_conv_f32f32__portable(const qir_conv_f32_shape *s, const float *QIR_RESTRICT x, const QIR_W *QIR_RESTRICT w,
                            const float *QIR_RESTRICT scale, const int16_t *QIR_RESTRICT zero_point,
                            const float *QIR_RESTRICT bias, float *QIR_RESTRICT y, void *scratch) {
    const qir_window *const win = &s->window;
    const int32_t depth = win->kernel[0] * win->kernel[1] * win->kernel[2] * s->in_channels;
    const int32_t pixels = qir_pixels(win), most = s->chunk ? s->chunk : 64;
    const ptrdiff_t block_size = (ptrdiff_t)depth * QIR_GROUP, out_all = (ptrdiff_t)s->groups * s->out_channels;
    float *const rows = (float *)scratch, *const room = rows + (ptrdiff_t)s->chunk * depth;
    int32_t first, g, number;
    for (first = 0; first < pixels; first += most) {
        const int32_t count = pixels - first < most ? pixels - first : most;
        const QIR_W *block = w;
        number = 0;
        for (g = 0; g < s->groups; ++g) {
            const float *from = x + (ptrdiff_t)first * depth;
            int32_t i, j, channel;
            if (s->chunk) {
                for (i = 0; i < count; ++i) {
                    qir_conv_f32f32_gather(s, x + (ptrdiff_t)g * s->in_channels, first + i, rows + (ptrdiff_t)i * depth);
                }
                from = rows;
            }
            for (channel = 0; channel < s->out_channels; channel += 8, block += block_size, number += 8) {
                const float *const weights = QIR_FLOATS(block, scale, zero_point, number, depth, room);
                const int32_t width = s->out_channels - channel < 8 ? s->out_channels - channel : 8;
                const float *const add = bias + (ptrdiff_t)g * s->out_channels + channel;
                float *const to = y + first * out_all + (ptrdiff_t)g * s->out_channels + channel;
                for (i = 0; i < count; i += 4) {
                    const int32_t high = count - i < 4 ? count - i : 4;
                    float acc[32];
                    int32_t r;
                    qir_tile_rows_f32(from + (ptrdiff_t)i * depth, depth, high, weights, depth, acc);
                    for (r = 0; r < high; ++r) {
                        for (j = 0; j < width; ++j) {
                            to[(i + r) * out_all + j] = acc[r * 8 + j] + add[j];
                        }
                    }
                }
            }
        }
    }
}
