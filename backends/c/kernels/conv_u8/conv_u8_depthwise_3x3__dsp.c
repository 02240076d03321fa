#include "conv_u8_depthwise_dsp.h"

/* template: begin */
#define QIR_LINE QIR_DSP_LINE_BY_1
#define QIR_SKIP QIR_DSP_SKIP_1
#define QIR_CLAMP QIR_DSP_BYTES
/* template: end */

QIR_DSP_LINE(qir_conv_u8s8_depthwise_3x3_T_dsp_line, QIR_LINE, QIR_SKIP, QIR_CLAMP)

/* At least four channels, of which the last four may lap over those before; weights: [line of taps][tap][channel];
   taps outside the input have the code of zero. scratch: [four channels][pairs][three lines] of pairs, where each line
   stays until it is no longer needed, so that the taps take turns. */
void qir_conv_u8s8_depthwise_3x3_T__dsp(const qir_conv_u8_depthwise_lines *s, const uint8_t *QIR_RESTRICT x,
                                         const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                         const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT scratch,
                                         uint8_t *QIR_RESTRICT y) {
    const qir_conv_u8_depthwise_axis *const across = &s->across;
    const qir_dsp_requant q = qir_dsp_widen_requant(&s->requant);
    uint32_t *const pairs = (uint32_t *)scratch;
    int32_t four, sample, out, i;
    qir_dsp_taps taps[4];
    for (i = 0; i < 4; ++i) {
        taps[i].zero_point = q.zero_point;
        taps[i].y_step = s->along.y_step;
        taps[i].least = q.least;
        taps[i].most = q.most;
    }
    for (four = 0; four < s->channels; four += 4) {
        const int32_t c = four + 4 <= s->channels ? four : s->channels - 4;
        for (i = 0; i < 4; ++i) {
            taps[i].bias[0] = taps[i].bias[1] = bias[c + i];
            taps[i].multiplier = multiplier[c + i];
            qir_dsp_join_taps(w + c + i, s->channels, taps + i);
        }
        for (sample = 0; sample < s->batch; ++sample) {
            const uint8_t *const from = x + (ptrdiff_t)sample * s->along.in * across->in * s->channels + c;
            uint8_t *to = y + (ptrdiff_t)sample * s->along.out * across->out * s->channels + c;
            int32_t next = -across->pad, place = 0; /* the next line of the input, and where it goes */
            for (out = 0; out < across->out; ++out, to += across->y_step) {
                const int32_t first = out * across->stride - across->pad;
                next = next < first ? first : next;
                for (; next < first + 3; ++next) {
                    const int inside = next >= 0 && next < across->in;
                    qir_dsp_split_line(s, inside ? from + (ptrdiff_t)next * across->x_step : NULL, pairs + place);
                    place = place == 2 ? 0 : place + 1;
                }
                for (i = 0; i < 4; ++i) { /* the first line is where the next one goes */
                    qir_conv_u8s8_depthwise_3x3_T_dsp_line(pairs + 3 * i * s->pairs, taps + i, s->along.out, to + i,
                                                            place ? 3 - place : 0);
                }
            }
        }
    }
}
