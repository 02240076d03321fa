#include "conv_u8_depthwise_mve.h"

/* template: begin */
#define QIR_TOGETHER 8
#define QIR_WIDTH "16"
#define QIR_NEXT "4"
#define QIR_TAKEN QIR_MVE_LINE_REAL_TAKEN
#define QIR_ROUNDED QIR_MVE_LINE_REAL
#define QIR_RESULT QIR_MVE_LINE_REAL_WORDS
/* template: end */

QIR_MVE_COLUMNS(qir_conv_u8s8_depthwise_lines_T_mve_columns, QIR_WIDTH)
QIR_MVE_LINE(qir_conv_u8s8_depthwise_lines_T_mve_line, QIR_NEXT, QIR_TAKEN, QIR_ROUNDED)

/* At least QIR_TOGETHER channels, of which the last ones may lap over those before. Weights: [channel][line of taps][tap],
   lines along axis `along`, 1 or 2, of the window; places: [row of the first tap, mod 4][2][16] as of qir_mve_line. Biases
   hold 128 times the sum of a channel's weights. Taps outside the input have the code of zero. scratch: columns. */
void qir_conv_u8s8_depthwise_lines_T__mve(const qir_conv_u8_shape *s, int32_t along, const uint8_t *QIR_RESTRICT x,
                                          const int8_t *QIR_RESTRICT w, const uint32_t *QIR_RESTRICT results,
                                          const uint8_t *QIR_RESTRICT places, void *QIR_RESTRICT scratch,
                                          uint8_t *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int32_t across = 3 - along, channels = s->groups, count = win->out[along], pad = win->pad[along];
    const int32_t all = (count - 1) * win->stride[along] + win->kernel[along];
    const int32_t inside = all - pad < win->in[along] ? all - pad : win->in[along];
    const ptrdiff_t row = (ptrdiff_t)win->in[2] * channels, step = along == 2 ? channels : row;
    const ptrdiff_t y_row = (ptrdiff_t)win->out[2] * channels, y_step = along == 2 ? channels : y_row;
    uint8_t *const columns = (uint8_t *)scratch + 4 * pad;
    uint8_t outside[QIR_TOGETHER];
    int32_t channel, sample, out;
    qir_mve_line line;
    memset(outside, s->x_zero_point, sizeof outside);
    memset(scratch, s->x_zero_point ^ 128, (size_t)(4 * all * QIR_TOGETHER)); /* left so at the ends of lines */
    line.pitch = 4 * all;
    line.taps = win->kernel[1] * win->kernel[2];
    line.fours = count / 4;
    line.rest = count % 4;
    line.zero_point = s->requant.zero_point;
    line.y_step = (int32_t)(4 * y_step);
    line.least = s->requant.low + line.zero_point;
    line.most = s->requant.high + line.zero_point;
    for (channel = 0; channel < channels; channel += QIR_TOGETHER) {
        const int32_t c = channel + QIR_TOGETHER <= channels ? channel : channels - QIR_TOGETHER;
        const uint8_t *from = x + c;
        uint8_t *to = y + c;
        line.last = results + (c + QIR_TOGETHER) * QIR_RESULT;
        for (sample = 0; sample < win->batch; ++sample, from += win->in[1] * row, to += win->out[1] * y_row) {
            int32_t next = -win->pad[across], start = next;
            for (out = 0; out < win->out[across]; ++out, start += win->stride[across]) {
                for (; next < start + win->kernel[across]; ++next) {
                    const int is_inside = next >= 0 && next < win->in[across];
                    const uint8_t *const pixels = is_inside ? from + next * (along == 2 ? row : channels) : outside;
                    qir_conv_u8s8_depthwise_lines_T_mve_columns(pixels, is_inside ? step : 0, inside,
                                                                columns + (next & 3), line.pitch);
                }
                line.w = w + (ptrdiff_t)c * line.taps;
                line.results = results + c * QIR_RESULT;
                line.columns = (const uint8_t *)scratch;
                line.y = to + out * (along == 2 ? y_row : channels);
                line.places = places + (start & 3) * 32;
                qir_conv_u8s8_depthwise_lines_T_mve_line(&line);
            }
        }
    }
}
