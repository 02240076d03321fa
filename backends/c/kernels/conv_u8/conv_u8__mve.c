#include "../../runtime/qir_mve.h"
#include "conv_u8_window.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE4 qir_mve_store4_u8
#define QIR_FOURS qir_mve_fours_u8
/* template: end */

typedef struct {
    uint8_t zero;
    uint8_t *to;
} qir_conv_u8s8_T_mve_line;

static QIR_ALONE void qir_conv_u8s8_T_mve_take(void *taker, const uint8_t *from, int32_t count) {
    qir_conv_u8s8_T_mve_line *const line = (qir_conv_u8s8_T_mve_line *)taker;
    if (from) {
        qir_mve_signed(from, count, line->to);
    } else {
        memset(line->to, line->zero ^ 128, (size_t)count);
    }
    line->to += count;
}

/* Weights: [group][out_channels] rows of [kernel taps][in_channels] codes; bias, with 128 times the sum of a row, and
   multiplier: [group][out_channels]. Taps outside the input have the code of zero. scratch holds the codes of a window,
   less 128. Four channels go together, of which the last four may lap over those before; fewer go one by one. */
void qir_conv_u8s8_T__mve(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x, const int8_t *QIR_RESTRICT w,
                          const int32_t *QIR_RESTRICT bias, const float *QIR_RESTRICT multiplier,
                          void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    const int32_t depth = s->window.kernel[0] * s->window.kernel[1] * s->window.kernel[2] * s->in_channels;
    const int32_t channels = s->out_channels, together = channels < 4 ? 1 : 4;
    const mve_pred16_t lanes = vctp32q((uint32_t)together);
    const qir_mve_requant q = qir_mve_widen_requant(&s->requant);
    int32_t left = qir_pixels(&s->window), group, channel;
    qir_conv_u8_place place = qir_conv_u8_first(&s->window);
    for (; left > 0; --left) {
        for (group = 0; group < s->groups; ++group, y += channels) {
            const ptrdiff_t first = (ptrdiff_t)group * channels;
            qir_conv_u8s8_T_mve_line line;
            line.zero = (uint8_t)s->x_zero_point;
            line.to = (uint8_t *)scratch;
            qir_conv_u8_take_window(s, x, &place, group, qir_conv_u8s8_T_mve_take, &line);
            channel = QIR_FOURS(scratch, depth, w + first * depth, &s->requant, bias + first, multiplier + first, channels, y);
            for (; channel < channels; channel += together) {
                const int32_t c = channel + together <= channels ? channel : channels - together;
                const ptrdiff_t at = first + c;
                const int32x4_t sums = qir_mve_four(scratch, depth, w + at * depth, together == 4 ? depth : 0);
                QIR_STORE4(vaddq_s32(sums, vldrwq_z_s32(bias + at, lanes)), vldrwq_z_f32(multiplier + at, lanes), &q,
                           lanes, y + c);
            }
        }
        qir_conv_u8_next(&s->window, &place);
    }
}
