#include "../../runtime/qir_mve.h"
#include "conv_u8_window.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE4 qir_mve_store4_u8
#define QIR_BY_FOURS 1
#define QIR_SUMS 0
#define QIR_SUMMED
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
   less 128. Four channels go together, what is left of them one by one. sum, other: where results are sums with other
   codes, which lie as those of y do and may share their bytes. */
void qir_conv_u8s8_T__mve(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x, const int8_t *QIR_RESTRICT w,
                          const int32_t *QIR_RESTRICT bias, const float *QIR_RESTRICT multiplier,
                          QIR_SUMMED void *QIR_RESTRICT scratch, QIR_Y *y) {
    const int32_t depth = s->window.kernel[0] * s->window.kernel[1] * s->window.kernel[2] * s->in_channels;
    const int32_t channels = s->out_channels;
    const qir_mve_requant q = qir_mve_widen_requant(&s->requant);
    #if QIR_SUMS
    const qir_mve_requant own = qir_mve_widen_requant(&sum->requant);
    #endif
    int32_t left = qir_pixels(&s->window), group, channel;
    ptrdiff_t to = 0;
    qir_conv_u8_place place = qir_conv_u8_first(s);
    for (; left > 0; --left) {
        for (group = 0; group < s->groups; ++group, to += channels) {
            const ptrdiff_t first = (ptrdiff_t)group * channels;
            int32_t together;
            qir_conv_u8s8_T_mve_line line;
            line.zero = (uint8_t)s->x_zero_point;
            line.to = (uint8_t *)scratch;
            qir_conv_u8_take_window(s, x, &place, group, qir_conv_u8s8_T_mve_take, &line);
            channel = 0;
            #if QIR_BY_FOURS
            channel = qir_mve_fours(scratch, depth, w + first * depth, &s->requant, bias + first, multiplier + first,
                                    channels, y + to);
            #endif
            for (; channel < channels; channel += together) {
                const ptrdiff_t at = first + channel;
                const mve_pred16_t lanes = vctp32q((uint32_t)(channels - channel >= 4 ? 4 : 1));
                int32x4_t sums;
                float32x4_t scale;
                together = channels - channel >= 4 ? 4 : 1;
                sums = qir_mve_four(scratch, depth, w + at * depth, together == 4 ? depth : 0);
                sums = vaddq_s32(sums, vldrwq_z_s32(bias + at, lanes));
                scale = vldrwq_z_f32(multiplier + at, lanes);
                #if QIR_SUMS
                qir_mve_store4_sum(sums, scale, &own, &q, sum, other + to + channel, lanes, y + to + channel);
                #else
                QIR_STORE4(sums, scale, &q, lanes, y + to + channel);
                #endif
            }
        }
        qir_conv_u8_next(&s->window, &place);
    }
}
