#include "conv_u8_mve.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE4 qir_mve_store4_u8
#define QIR_ROUNDED QIR_MVE_REAL
#define QIR_CODED qir_mve_real
#define QIR_SUM_OF qir_mve_real_sum
#define QIR_RESULT QIR_MVE_REAL_WORDS
#define QIR_IN_PLACE 0
#define QIR_TAKEN QIR_MVE_SIGNED
#define QIR_WINDOWS QIR_MVE_ONE_BY_ONE
#define QIR_KEPT QIR_MVE_KEPT_SIGNED
#define QIR_CODES QIR_MVE_CODES
#define QIR_WEIGHTS QIR_MVE_WEIGHTS_8
#define QIR_FOUR qir_mve_sums_8
#define QIR_BITS 8
#define QIR_BY_FOURS 1
#define QIR_SUMS 0
#define QIR_SUMMED
/* template: end */

#if QIR_BY_FOURS
QIR_CODES(qir_conv_u8s8_T_mve_codes, QIR_WINDOWS, QIR_KEPT, QIR_TAKEN, QIR_ROUNDED, QIR_WEIGHTS)
#endif

/* Weights: [group][out_channels] rows of [kernel taps][in_channels] codes, as QIR_MVE_WEIGHTS_<bits> has them: those of
   fewer than 8 bits lie in fours of channels, the last one filled up; results: [group][four channels][QIR_RESULT], of
   which biases hold 128 times the sum of a row. Taps outside the input have the code of zero. scratch holds the codes of a
   window, less 128; where QIR_IN_PLACE, they are taken from x: the pixels of a row at once, of one group. Four channels go
   together, what is left of them one by one, of bytes. sum, other: where results are sums with other codes, which lie as those of y do
   and may share their bytes. */
void qir_conv_u8s8_T__mve(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x, const int8_t *QIR_RESTRICT w,
                          const uint32_t *QIR_RESTRICT results, QIR_SUMMED void *QIR_RESTRICT scratch, QIR_Y *y) {
    const int32_t depth = s->window.kernel[0] * s->window.kernel[1] * s->window.kernel[2] * s->in_channels;
    const int32_t channels = s->out_channels;
    const int32_t four_bytes = QIR_BITS == 1 ? (depth + 31) / 32 * 16 : depth * QIR_BITS / 2;
    const qir_conv_u8_insides insides = qir_conv_u8_all_inside(s);
    const qir_mve_requant q = qir_mve_widen_requant(&s->requant);
    #if QIR_SUMS
    const qir_mve_requant own = qir_mve_widen_requant(&sum->requant);
    #endif
    int32_t left = qir_pixels(&s->window);
    QIR_Y *to = y;
    #if !QIR_IN_PLACE
    int32_t in_rows, run;
    ptrdiff_t next;
    #endif
    qir_conv_u8_place place = qir_conv_u8_first(s);
    #if QIR_BY_FOURS
    qir_mve_channels fours;
    fours.x = scratch;
    fours.pixels = 1;
    fours.step = (place.alone ? 1 : s->window.stride[2]) * s->in_channels;
    fours.count = depth;
    fours.back = QIR_BITS == 1 ? 0 : depth - ((depth + 15) & ~15);
    fours.zero_point = q.zero_point;
    fours.least = s->requant.low + q.zero_point;
    fours.most = s->requant.high + q.zero_point;
    #endif
    #if QIR_IN_PLACE
    fours.w = w;
    fours.results = results;
    fours.last = results + channels / 4 * QIR_RESULT;
    for (; left > 0; left -= fours.pixels, to += fours.pixels * channels) {
        fours.x = qir_conv_u8_inside(&s->window, &insides, x, &place);
        fours.y = to;
        fours.pixels = place.alone ? left : s->window.out[2];
        qir_conv_u8s8_T_mve_codes(&fours);
        place.out[2] = fours.pixels - 1;
        qir_conv_u8_next(&s->window, &place);
    }
    (void)scratch;
    (void)four_bytes;
    #else
    memset((uint8_t *)scratch + depth, 0, QIR_BITS == 1 ? -(uint32_t)depth & 31u : 0);
    in_rows = s->window.kernel[0] == 1 && qir_conv_u8_together(s) == s->window.kernel[2];
    run = s->in_channels * s->window.kernel[2];
    next = s->window.dilation[1] * insides.step[1];
    #if QIR_BY_FOURS
    fours.run = run;
    fours.next = next;
    #endif
    for (; left > 0; --left) {
        const uint8_t *const from = qir_conv_u8_inside(&s->window, &insides, x, &place);
        const int8_t *weights = w;
        const uint32_t *result = results;
        int32_t group, channel;
        #if QIR_BY_FOURS
        fours.runs = 0;
        fours.pixels = 1;
        if (from && in_rows && channels % 4 == 0) {
            fours.pixels = qir_conv_u8_mve_follow(&s->window, &insides, &place, left);
            fours.from = from;
            fours.runs = s->window.kernel[1];
            fours.w = w;
            fours.y = to;
            fours.results = results;
            fours.last = results + channels / 4 * QIR_RESULT;
            qir_conv_u8s8_T_mve_codes(&fours);
            to += fours.pixels * channels;
            left -= fours.pixels - 1;
            qir_conv_u8_next(&s->window, &place);
            continue;
        }
        #endif
        for (group = 0; group < s->groups; ++group) {
            if (from == NULL) {
                qir_conv_u8_mve_window(s, insides.step, x, &place, group, (uint8_t *)scratch);
            } else if (in_rows) {
                qir_mve_signed(from, run, s->window.kernel[1], next, scratch, run);
            } else {
                const int32_t none[3] = {0, 0, 0};
                qir_conv_u8_mve_rows(s, insides.step, from + group * s->in_channels, none, s->window.kernel,
                                         (uint8_t *)scratch);
            }
            channel = 0;
            #if QIR_BY_FOURS
            if (channels >= 4) {
                channel = channels & ~3;
                fours.w = weights;
                fours.y = to;
                fours.results = result;
                result += channel / 4 * QIR_RESULT;
                fours.last = result;
                qir_conv_u8s8_T_mve_codes(&fours);
                weights += channel / 4 * four_bytes;
                to += channel;
            }
            #endif
            for (; channel < channels; channel += 4, result += QIR_RESULT) {
                const int32_t count = channels - channel < 4 ? channels - channel : 4;
                const mve_pred16_t lanes = vctp32q((uint32_t)count);
                int32x4_t sums;
                if (QIR_BITS < 8 || count == 4) {
                    sums = QIR_FOUR(scratch, depth, weights);
                    weights += four_bytes;
                } else {
                    int32_t ones[4] = {0, 0, 0, 0}, i;
                    for (i = 0; i < count; ++i, weights += depth) {
                        ones[i] = qir_mve_one(scratch, depth, weights);
                    }
                    sums = vldrwq_s32(ones);
                }
                sums = vaddq_s32(sums, vreinterpretq_s32_u32(vldrwq_u32(result)));
                #if QIR_SUMS
                sums = QIR_SUM_OF(QIR_CODED(sums, result, &own),
                                  vreinterpretq_s32_u32(vldrbq_z_u32(other + (to - y), lanes)), &q, sum);
                vstrbq_p_s32((int8_t *)to, sums, lanes);
                #else
                QIR_STORE4(sums, result, &q, lanes, to);
                #endif
                to += count;
            }
        }
        qir_conv_u8_next(&s->window, &place);
    }
    #endif
}
