#include "conv_u8_depthwise_dsp.h"

/* template: begin */
#define QIR_BACK QIR_DSP_BACK_1
#define QIR_TAKEN QIR_DSP_REAL_TAPS
#define QIR_STARTS QIR_DSP_REAL_STARTS
#define QIR_ROUNDED QIR_DSP_REAL_FOUR
#define QIR_CODES QIR_DSP_PAIRS(QIR_DSP_ADD_PAIR)
#define QIR_CLAMP ""
#define QIR_SCALE 1
#define QIR_TWICE 0x10001u
/* template: end */

QIR_DSP_WINDOWS(qir_conv_u8s8_depthwise_3x3_T_dsp_windows, QIR_BACK, QIR_TAKEN, QIR_STARTS, QIR_ROUNDED, QIR_CODES,
                QIR_CLAMP)

/* Lines of four channels: of pixels, from `first` on, `next` apart, `lines` of them, others being `outside`. */
typedef struct {
    const uint8_t *first;
    ptrdiff_t next;
    ptrdiff_t step;
    int32_t lines;
    uint32_t outside;
} qir_conv_u8s8_depthwise_3x3_T_dsp_input;

/* Columns of the line `start` and those that follow, of which some are outside the input. */
static QIR_ALONE void qir_conv_u8s8_depthwise_3x3_T_dsp_ends(const qir_conv_u8s8_depthwise_3x3_T_dsp_input *in,
                                                             int32_t start, int32_t count, uint32_t *to) {
    qir_dsp_line lines[3];
    int32_t i;
    for (i = 0; i < 3; ++i, ++start) {
        qir_dsp_line *const line = lines + (i == 0 ? 2 : i - 1);
        const int is_inside = start >= 0 && start < in->lines;
        line->from = is_inside ? in->first + start * in->next : (const uint8_t *)&in->outside;
        line->step = is_inside ? in->step : 0;
    }
    qir_dsp_columns(lines, count, to);
}

/* At least four channels, of which the last four may lap over those before. Weights: [line of taps][tap][channel], lines
   along axis `along`, 1 or 2, of the window; taps outside the input have the code of zero. scales: [channel][QIR_SCALE] as of
   qir_dsp_taps. scratch: columns of pixels under the windows of a line. */
void qir_conv_u8s8_depthwise_3x3_T__dsp(const qir_conv_u8_shape *s, int32_t along, const uint8_t *QIR_RESTRICT x,
                                        const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                        const uint32_t *QIR_RESTRICT scales, void *QIR_RESTRICT scratch,
                                        uint8_t *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int32_t across = 3 - along, channels = s->groups, count = win->out[along], stride = win->stride[across];
    const int32_t all = (count - 1) * win->stride[along] + 3, most = all - win->pad[along];
    const int32_t inside = most < win->in[along] ? most : win->in[along];
    const ptrdiff_t row = (ptrdiff_t)win->in[2] * channels, y_row = (ptrdiff_t)win->out[2] * channels;
    const ptrdiff_t y_next = along == 2 ? y_row : channels;
    const int paired = stride == 1 && win->out[across] > 3; /* fewer lines do not pay for further taps */
    const qir_dsp_requant q = qir_dsp_widen_requant(&s->requant);
    uint32_t *const columns = (uint32_t *)scratch, *const to = columns + 6 * win->pad[along];
    int32_t four, sample, out, i;
    qir_conv_u8s8_depthwise_3x3_T_dsp_input in;
    qir_dsp_line lines[5]; /* of taps: 1, 2, 0, 1, 2 */
    qir_dsp_taps t, after;
    for (i = 0; i < 6 * all; ++i) {
        columns[i] = (uint32_t)s->x_zero_point * 0x10001u; /* outside of the input this is left */
    }
    in.next = along == 2 ? row : channels;
    in.step = along == 2 ? channels : row;
    in.lines = win->in[across];
    in.outside = (uint32_t)s->x_zero_point * 0x1010101u;
    t.zero_point = ((uint32_t)q.zero_point & 0xffffu) * QIR_TWICE;
    t.y_step = (int32_t)(along == 2 ? channels : y_row);
    t.least = q.least;
    t.most = q.most;
    after = t;
    for (four = 0; four < channels; four += 4) {
        const int32_t c = four + 4 <= channels ? four : channels - 4;
        for (i = 0; i < 5; ++i) {
            lines[i].from = (const uint8_t *)w + c + 3 * channels * (i < 2 ? i + 1 : i - 2);
            lines[i].step = channels;
        }
        memcpy(t.bias, bias + c, sizeof t.bias);
        memcpy(t.scale + 8 - 4 * QIR_SCALE, scales + c * QIR_SCALE, 4 * QIR_SCALE * sizeof t.scale[0]);
        qir_dsp_columns_of_taps(lines, 3, t.taps);
        if (paired) {
            memcpy(after.scale, t.scale, sizeof t.scale);
            memcpy(after.bias, t.bias, sizeof t.bias);
            qir_dsp_columns_of_taps(lines + 2, 3, after.taps);
        }
        in.first = x + c;
        for (sample = 0; sample < win->batch; ++sample, in.first += win->in[1] * row) {
            uint8_t *result = y + sample * win->out[1] * y_row + c;
            int32_t start = -win->pad[across];
            for (out = win->out[across]; out > 0; --out, start += stride, result += y_next) {
                if (start >= 0 && start + 2 < in.lines) {
                    qir_dsp_line line;
                    line.from = in.first + (start + 1) * in.next;
                    line.step = in.step;
                    qir_dsp_columns_inside(&line, inside, to, in.next);
                } else {
                    qir_conv_u8s8_depthwise_3x3_T_dsp_ends(&in, start, inside, to);
                }
                qir_conv_u8s8_depthwise_3x3_T_dsp_windows(columns, &t, result, count);
                if (paired && out > 1) {
                    const int is_inside = start + 3 < in.lines;
                    const uint8_t *const from = is_inside ? in.first + (start + 3) * in.next : (const uint8_t *)&in.outside;
                    qir_dsp_columns_third(from, is_inside ? in.step : 0, inside, to);
                    --out;
                    ++start;
                    result += y_next;
                    qir_conv_u8s8_depthwise_3x3_T_dsp_windows(columns, &after, result, count);
                }
            }
        }
    }
}
