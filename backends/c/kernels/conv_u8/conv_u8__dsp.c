#include "conv_u8_dsp.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE4 qir_dsp_store4_u8
#define QIR_RESULT QIR_DSP_REAL_WORDS
#define QIR_PRODUCTS QIR_DSP_JOINED_4
#define QIR_JOINED QIR_DSP_JOINED_SUMS
#define QIR_FEW 0
#define QIR_BITS 8
#define QIR_STEP 4
#define QIR_OFFSET 0
#define QIR_BY_FOURS 1
#define QIR_REST 1
#define QIR_SCALES QIR_DSP_REAL_SCALES
#define QIR_ROUNDED QIR_DSP_REAL_EIGHT
#define QIR_CODES QIR_DSP_PAIRS_EIGHT
#define QIR_CLAMP ""
#define QIR_SUMS 0
#define QIR_SUMMED
#define QIR_SUM_CODES qir_dsp_sum_codes
/* template: end */

#if QIR_REST
QIR_DSP_TWO_BY_FOUR(qir_conv_u8s8_T_dsp_two, QIR_PRODUCTS, QIR_JOINED)
#endif

#if QIR_BY_FOURS
QIR_DSP_CODES(qir_conv_u8s8_T_dsp_codes, QIR_PRODUCTS, QIR_JOINED, QIR_SCALES, QIR_ROUNDED, QIR_CODES, QIR_CLAMP)
#endif

#if QIR_REST
/* Results of a pixel with as many of four channels as are left; `other` as of y. */
static QIR_ALONE void qir_conv_u8s8_T_dsp_finish(const qir_conv_u8_shape *s, const int32_t *sums, const uint32_t *results,
                                                 const qir_dsp_requant *q, QIR_SUMMED int32_t left, QIR_Y *y) {
    const int32_t count = left < 4 ? left : 4;
    QIR_Y part[4];
    QIR_STORE4(sums, results, q, part);
    #if QIR_SUMS
    QIR_SUM_CODES(sum, &s->requant, part, other, count, y);
    #else
    (void)s;
    memcpy(y, part, (size_t)count * sizeof(QIR_Y));
    #endif
}
#endif

/* Weights: [group][four channels][four codes][even, odd][two channels] words, zeros where there is no channel or code;
   results: [group][four channels][QIR_RESULT]. Codes go by runs that lie together, each but for what does not go by fours,
   which follows the last run. scratch: pairs of two pixels, a run, what is left of all. Of an odd number of pixels the last
   is computed twice. sum, other: where results are sums with other codes, which lie as those of y do and may share their
   bytes. QIR_REST: channels do not go by fours, or their results not. QIR_FEW: weights of QIR_BITS bits as
   runtime/qir_few_dsp.h has them, [group][four channels][words], codes filled up to QIR_STEP; behind the pairs lies what is
   taken off the sums. */
void qir_conv_u8s8_T__dsp(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x, const uint32_t *QIR_RESTRICT w,
                          const uint32_t *QIR_RESTRICT results, QIR_SUMMED void *QIR_RESTRICT scratch, QIR_Y *y) {
    const int32_t channels = s->out_channels, made = qir_conv_u8_dsp_words(s);
    #if QIR_FEW
    const int32_t depth = (made + QIR_STEP - 1) / QIR_STEP * QIR_STEP, words = depth * QIR_BITS / 8;
    #else
    const int32_t depth = made, words = made;
    #endif
    const ptrdiff_t all = (ptrdiff_t)s->groups * channels;
    #if QIR_SUMS
    const qir_dsp_requant q = qir_dsp_widen_requant(&sum->requant);
    #else
    const qir_dsp_requant q = qir_dsp_widen_requant(&s->requant);
    #endif
    uint32_t *const pairs = (uint32_t *)scratch, *const end = pairs + depth;
    const int32_t is_run = s->in_channels * qir_conv_u8_together(s) == made; /* windows are such, and go by fours */
    const qir_conv_u8_insides insides = qir_conv_u8_all_inside(s);
    int32_t left = qir_pixels(&s->window), group, channel;
    ptrdiff_t to = 0, next = all;
    qir_conv_u8_place place = qir_conv_u8_first(s);
    #if QIR_BY_FOURS
    qir_dsp_channels fours;
    fours.x = pairs;
    fours.zero_points = ((uint32_t)q.zero_point & 0xffffu) * 0x10001u;
    fours.least = q.least;
    fours.most = q.most;
    #endif
    #if QIR_FEW
    (void)memset(pairs + made, 0, (size_t)(depth - made) * sizeof *pairs);
    #endif
    for (; left > 0; left -= 2, to += all) {
        const qir_conv_u8_place one = place;
        const uint8_t *const a = qir_conv_u8_inside(&s->window, &insides, x, &place), *b = a;
        const uint32_t *weights = w, *result = results;
        if (left == 1) {
            next = 0;
        } else {
            qir_conv_u8_next(&s->window, &place);
            b = a ? qir_conv_u8_inside(&s->window, &insides, x, &place) : a;
        }
        for (group = 0; group < s->groups; ++group) {
            const ptrdiff_t own = (ptrdiff_t)group * s->in_channels;
            if (b && is_run) {
                (void)qir_dsp_widen(a + own, b + own, made, pairs);
            } else if (b) {
                qir_conv_u8_dsp_inside(s, insides.step, a + own, b + own, pairs, (uint8_t *)end);
            } else {
                qir_conv_u8_dsp_row(s, x, &one, group, pairs, end);
                qir_conv_u8_dsp_row(s, x, &place, group, pairs + 1, end);
            }
            #if QIR_FEW
            qir_few_dsp_sums(pairs, end, QIR_OFFSET);
            #endif
            channel = 0;
            #if QIR_BY_FOURS
            if (channels >= 4) {
                fours.last = weights + channels / 4 * words;
                fours.results = result;
                fours.y = y + to;
                fours.next = next;
                qir_conv_u8s8_T_dsp_codes(&fours, weights, end);
                channel = channels & ~3;
                weights = fours.last;
                result += channel / 4 * QIR_RESULT;
                to += channel;
            }
            #endif
            #if QIR_REST
            for (; channel < channels; channel += 4, weights += words, result += QIR_RESULT) {
                const int32_t count = channels - channel < 4 ? channels - channel : 4;
                int32_t sums[8];
                qir_conv_u8s8_T_dsp_two(pairs, weights, end, result, sums);
                #if QIR_SUMS
                qir_conv_u8s8_T_dsp_finish(s, sums, result, &q, sum, other + to, count, y + to);
                if (next) {
                    qir_conv_u8s8_T_dsp_finish(s, sums + 4, result, &q, sum, other + to + next, count, y + to + next);
                }
                #else
                qir_conv_u8s8_T_dsp_finish(s, sums, result, &q, count, y + to);
                qir_conv_u8s8_T_dsp_finish(s, sums + 4, result, &q, count, y + to + next);
                #endif
                to += count;
            }
            #endif
        }
        qir_conv_u8_next(&s->window, &place);
    }
}
