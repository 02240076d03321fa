#include "conv_u8_depthwise_dsp.h"

/* template: begin */
#define QIR_BETWEEN "32"
#define QIR_TAKEN QIR_DSP_REAL_SCALES_TAKEN
#define QIR_ROUNDED QIR_DSP_REAL_FOUR
#define QIR_CODES QIR_DSP_PAIRS(QIR_DSP_ZERO_POINT, QIR_DSP_ADD_PAIR)
#define QIR_CLAMP ""
#define QIR_SCALE 1
#define QIR_TWICE 0x10001u
/* template: end */

QIR_DSP_PLANE(qir_conv_u8s8_depthwise_3x3_T_dsp_plane, QIR_BETWEEN, QIR_TAKEN, QIR_ROUNDED, QIR_CODES, QIR_CLAMP)

/* Runs of pairs of lines, from that of the first window's first line on; the end of these. There are six at most: pairs
   are outside the input, inside, partly inside and outside; the first one ends no rows, the second and the last one may
   end fewer of them than others. */
static QIR_ALONE qir_dsp_run *qir_conv_u8s8_depthwise_3x3_T_dsp_runs(const qir_window *win, int32_t across,
                                                                     qir_dsp_run *run) {
    int32_t line = -win->pad[across], left = win->out[across], pair;
    run->count = 0;
    for (pair = line & ~1; left > 0; pair += 2) {
        const int32_t inside = pair < 0 ? 0 : win->in[across] - pair;
        const int32_t lines = inside < 0 ? 0 : inside > 2 ? 2 : inside;
        int32_t rows = 0;
        for (; left > 0 && (line & ~1) + 2 == pair; --left, line += win->stride[across]) {
            ++rows;
        }
        if (run->count > 0 && (run->lines != lines || run->rows != rows)) {
            ++run;
            run->count = 0;
        }
        run->lines = lines;
        run->rows = rows;
        ++run->count;
    }
    return run + 1;
}

/* At least four channels, of which the last four may lap over those before. Weights: [line of taps][tap][channel], lines
   along axis `along`, 1 or 2, of the window; taps outside the input have the code of zero. scales: [channel][QIR_SCALE] as of
   qir_dsp_taps. scratch: columns of pixels under the windows of a row. */
void qir_conv_u8s8_depthwise_3x3_T__dsp(const qir_conv_u8_shape *s, int32_t along, const uint8_t *QIR_RESTRICT x,
                                        const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                        const uint32_t *QIR_RESTRICT scales, void *QIR_RESTRICT scratch,
                                        uint8_t *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int32_t across = 3 - along, channels = s->groups, count = win->out[along];
    const int32_t start = win->pad[across] & 1, both = win->stride[across] == 1;
    const ptrdiff_t row = (ptrdiff_t)win->in[2] * channels, y_row = (ptrdiff_t)win->out[2] * channels;
    const qir_dsp_requant q = qir_dsp_widen_requant(&s->requant);
    int32_t four, sample, i;
    qir_dsp_run runs[8];
    qir_dsp_taps taps[2]; /* for a first line that is even, and odd; of windows two lines apart one of these */
    qir_dsp_plane p;
    p.end = qir_conv_u8s8_depthwise_3x3_T_dsp_runs(win, across, runs);
    p.next = along == 2 ? row : channels;
    p.step = along == 2 ? channels : row;
    p.all = (count - 1) * win->stride[along] + 3;
    p.before = win->pad[along];
    p.inside = p.all - p.before < win->in[along] ? p.all - p.before : win->in[along];
    p.behind = p.all - p.before - p.inside;
    p.outside = (uint32_t)s->x_zero_point * 0x10001u;
    p.is_odd = count & 1;
    p.y_step = along == 2 ? channels : y_row;
    p.y_next = along == 2 ? y_row : channels;
    p.y_row = (count + p.is_odd) * p.y_step;
    p.zero_point = ((uint32_t)q.zero_point & 0xffffu) * QIR_TWICE;
    p.least = q.least;
    p.most = q.most;
    for (four = 0; four < channels; four += 4) {
        const int32_t c = four + 4 <= channels ? four : channels - 4;
        for (i = both ? 0 : start; i <= (both ? 1 : start); ++i) {
            memcpy(taps[i].scale + 8 - 4 * QIR_SCALE, scales + c * QIR_SCALE, 4 * QIR_SCALE * sizeof taps[i].scale[0]);
            memcpy(taps[i].bias, bias + c, sizeof taps[i].bias);
            memcpy(taps[i].bias_again, bias + c, sizeof taps[i].bias);
        }
        qir_dsp_take_taps(w + c, channels, both || start == 0 ? taps[0].taps : NULL, both || start ? taps[1].taps : NULL);
        for (sample = 0; sample < win->batch; ++sample) {
            p.x = x + sample * win->in[1] * row + c;
            p.y = y + sample * win->out[1] * y_row + c - p.is_odd * p.y_step;
            p.place = (uint32_t *)scratch;
            p.taps = taps + start;
            p.turn = both ? (1 - 2 * start) * (ptrdiff_t)sizeof taps[0] : 0;
            p.run = runs;
            qir_conv_u8s8_depthwise_3x3_T_dsp_plane(&p);
        }
    }
}
