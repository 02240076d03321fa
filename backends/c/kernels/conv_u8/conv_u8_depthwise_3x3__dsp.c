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

/* Results of four channels, from x on, of the windows along line `out` of a sample. */
static QIR_ALONE void qir_conv_u8s8_depthwise_3x3_T_dsp_line(const qir_conv_u8_shape *s, int32_t along, const uint8_t *x,
                                                             int32_t out, const qir_dsp_taps *t, uint32_t *columns,
                                                             uint8_t *y) {
    const qir_window *const win = &s->window;
    const int32_t across = 3 - along, inside = win->in[along], pad = win->pad[along];
    const int32_t all = (win->out[along] - 1) * win->stride[along] + 3;
    const int32_t middle = all - pad < inside ? all - pad : inside;
    const ptrdiff_t row = (ptrdiff_t)win->in[2] * s->groups, step = along == 2 ? s->groups : row;
    const ptrdiff_t next = along == 2 ? row : s->groups;
    const uint32_t word = (uint32_t)s->x_zero_point * 0x1010101u;
    const int32_t start = out * win->stride[across] - win->pad[across];
    uint32_t *const to = columns + 6 * pad;
    qir_dsp_line lines[3];
    int32_t i;
    if (start >= 0 && start + 2 < win->in[across]) {
        lines[0].from = x + start * next;
        lines[0].step = step;
        qir_dsp_columns_inside(lines, middle, to, next);
    } else {
        for (i = 0; i < 3; ++i) {
            const int outside = start + i < 0 || start + i >= win->in[across];
            lines[i].from = outside ? (const uint8_t *)&word : x + (start + i) * next;
            lines[i].step = outside ? 0 : step;
        }
        qir_dsp_columns(lines, middle, to);
    }
    qir_conv_u8s8_depthwise_3x3_T_dsp_windows(columns, t, y, win->out[along]);
}

/* At least four channels, of which the last four may lap over those before. Weights: [line of taps][tap][channel], lines
   along axis `along`, 1 or 2, of the window; taps outside the input have the code of zero. scales: [channel][QIR_SCALE] as of
   qir_dsp_taps. scratch: columns of pixels under the windows of a line. */
void qir_conv_u8s8_depthwise_3x3_T__dsp(const qir_conv_u8_shape *s, int32_t along, const uint8_t *QIR_RESTRICT x,
                                        const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                        const uint32_t *QIR_RESTRICT scales, void *QIR_RESTRICT scratch,
                                        uint8_t *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int32_t across = 3 - along, channels = s->groups;
    const ptrdiff_t row = (ptrdiff_t)win->out[2] * channels;
    const qir_dsp_requant q = qir_dsp_widen_requant(&s->requant);
    int32_t four, sample, out, i;
    qir_dsp_taps t;
    for (i = 0; i < 6 * ((win->out[along] - 1) * win->stride[along] + 3); ++i) {
        ((uint32_t *)scratch)[i] = (uint32_t)s->x_zero_point * 0x10001u; /* outside of the input this is left */
    }
    t.zero_point = ((uint32_t)q.zero_point & 0xffffu) * QIR_TWICE;
    t.y_step = (int32_t)(along == 2 ? channels : row);
    t.least = q.least;
    t.most = q.most;
    for (four = 0; four < channels; four += 4) {
        const int32_t c = four + 4 <= channels ? four : channels - 4;
        memcpy(t.bias, bias + c, sizeof t.bias);
        memcpy(t.scale + 8 - 4 * QIR_SCALE, scales + c * QIR_SCALE, 4 * QIR_SCALE * sizeof t.scale[0]);
        qir_dsp_join_taps(w + c, channels, t.taps);
        for (sample = 0; sample < win->batch; ++sample) {
            const uint8_t *const from = x + (ptrdiff_t)sample * win->in[1] * win->in[2] * channels + c;
            uint8_t *to = y + sample * win->out[1] * row + c;
            for (out = 0; out < win->out[across]; ++out, to += along == 2 ? row : channels) {
                qir_conv_u8s8_depthwise_3x3_T_dsp_line(s, along, from, out, &t, (uint32_t *)scratch, to);
            }
        }
    }
}
