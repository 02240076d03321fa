#include "../../runtime/qir_f32_tiles.h"
#include "conv_f32_panels.h"

/* Weights: [group][panel][segment][length][2 * QIR_WIDTH]; bias: [group][panel][2 * QIR_WIDTH]; zeros beyond the last
   channel. scratch: floats of a block's copied input. */
void qir_conv_f32f32__vectors(const qir_conv_f32_panels *s, const int32_t *QIR_RESTRICT segment,
                              const float *QIR_RESTRICT x, const float *QIR_RESTRICT w, const float *QIR_RESTRICT bias,
                              float *QIR_RESTRICT y, void *scratch) {
    const qir_window *const win = &s->window;
    const ptrdiff_t channels = (ptrdiff_t)s->groups * s->in_channels, step = (ptrdiff_t)s->groups * s->out_channels;
    const int32_t panels = (s->out_channels + 2 * QIR_WIDTH - 1) / (2 * QIR_WIDTH);
    const int32_t lines = win->batch * win->out[0];
    int32_t line, row, column, g, rows, columns;
    qir_f32_tile t = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    t.segment = segment;
    t.segments = s->segments;
    t.length = s->length;
    t.stride = channels * win->stride[2];
    t.step = step;
    t.low = s->low;
    t.high = s->most;
    for (line = 0; line < lines; ++line) {
        for (row = 0; row < win->out[1]; row += rows) {
            rows = win->out[1] - row < s->rows ? win->out[1] - row : s->rows;
            for (column = 0; column < win->out[2]; column += columns) {
                const int32_t sample = line / win->out[0];
                const int32_t start[3] = {line % win->out[0] * win->stride[0] - win->pad[0],
                                          row * win->stride[1] - win->pad[1], column * win->stride[2] - win->pad[2]};
                const float *from = (const float *)scratch;
                float *const to = y + (((ptrdiff_t)line * win->out[1] + row) * win->out[2] + column) * step;
                columns = win->out[2] - column < s->columns ? win->out[2] - column : s->columns;
                if (s->copied) {
                    qir_conv_f32_copy(s, x, sample, start, rows, columns, (float *)scratch);
                } else {
                    const ptrdiff_t plane = (ptrdiff_t)sample * win->in[0] + start[0];
                    from = x + ((plane * win->in[1] + start[1]) * win->in[2] + start[2]) * channels;
                }
                for (g = 0; g < s->groups; ++g) {
                    t.weights = w + (ptrdiff_t)g * panels * s->segments * s->length * (2 * QIR_WIDTH);
                    t.bias = bias + (ptrdiff_t)g * panels * (2 * QIR_WIDTH);
                    t.columns = s->out_channels;
                    QIR_TILE_PRODUCT(&t, from + (ptrdiff_t)g * s->in_channels,
                                     s->across * channels * win->stride[1], rows, columns,
                                     to + (ptrdiff_t)g * s->out_channels, win->out[2] * step);
                }
            }
        }
    }
}
