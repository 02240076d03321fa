#include "../../runtime/qir_few_dsp.h"
#include "conv_u8_dsp.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE4 qir_dsp_store4_u8
#define QIR_RESULT QIR_DSP_REAL_WORDS
#define QIR_PRODUCTS QIR_FEW_DSP_2_4
#define QIR_LESS QIR_FEW_DSP_2_LESS
#define QIR_BITS 2
#define QIR_STEP 4
#define QIR_OFFSET 2
#define QIR_BY_FOURS 1
#define QIR_SCALES QIR_DSP_REAL_SCALES
#define QIR_ROUNDED QIR_DSP_REAL_EIGHT
#define QIR_CODES QIR_DSP_PAIRS_EIGHT
#define QIR_CLAMP ""
#define QIR_SUMS 0
#define QIR_SUMMED
#define QIR_SUM_CODES qir_dsp_sum_codes
/* template: end */

QIR_DSP_TWO_BY_FOUR(qir_conv_u8few_T_dsp_two, QIR_PRODUCTS, QIR_LESS)

#if QIR_BY_FOURS
QIR_DSP_CODES(qir_conv_u8few_T_dsp_codes, QIR_PRODUCTS, QIR_LESS, QIR_SCALES, QIR_ROUNDED, QIR_CODES, QIR_CLAMP)
#endif

/* Results of four channels of a pixel, or of as many as are left; `other` as of y. */
static QIR_ALONE void qir_conv_u8few_T_dsp_finish(const qir_conv_u8_shape *s, const int32_t *sums, const uint32_t *results,
                                                  const qir_dsp_requant *q, QIR_SUMMED int32_t count, QIR_Y *y) {
    QIR_Y part[4];
    QIR_STORE4(sums, results, q, part);
    #if QIR_SUMS
    QIR_SUM_CODES(sum, &s->requant, part, other, count, y);
    #else
    (void)s;
    memcpy(y, part, (size_t)count * sizeof(QIR_Y));
    #endif
}

/* As conv_u8__dsp.c, with weights of QIR_BITS bits as qir_few_dsp.h has them: [group][four channels][words], codes filled
   up to QIR_STEP. scratch: pairs of two pixels, then a run and what is left of all, of which what is taken off the sums
   takes the place. */
void qir_conv_u8few_T__dsp(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x, const uint32_t *QIR_RESTRICT w,
                           const uint32_t *QIR_RESTRICT results, QIR_SUMMED void *QIR_RESTRICT scratch, QIR_Y *y) {
    const int32_t channels = s->out_channels, pairs_made = qir_conv_u8_dsp_words(s);
    const int32_t depth = (pairs_made + QIR_STEP - 1) / QIR_STEP * QIR_STEP, words = depth * QIR_BITS / 8;
    const ptrdiff_t all = (ptrdiff_t)s->groups * channels;
    #if QIR_SUMS
    const qir_dsp_requant q = qir_dsp_widen_requant(&sum->requant);
    #else
    const qir_dsp_requant q = qir_dsp_widen_requant(&s->requant);
    #endif
    uint32_t *const pairs = (uint32_t *)scratch, *const end = pairs + depth;
    const int32_t is_run = s->in_channels * qir_conv_u8_together(s) == pairs_made;
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
    (void)memset(pairs + pairs_made, 0, (size_t)(depth - pairs_made) * sizeof *pairs);
    for (; left > 0; left -= 2, to += next) {
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
                (void)qir_dsp_widen(a + own, b + own, pairs_made, pairs);
            } else if (b) {
                qir_conv_u8_dsp_inside(s, insides.step, a + own, b + own, pairs, (uint8_t *)end);
            } else {
                qir_conv_u8_dsp_row(s, x, &one, group, pairs, end);
                qir_conv_u8_dsp_row(s, x, &place, group, pairs + 1, end);
            }
            qir_few_dsp_sums(pairs, end, QIR_OFFSET);
            channel = 0;
            #if QIR_BY_FOURS
            if (channels >= 4) {
                channel = channels & ~3;
                fours.last = weights + channel / 4 * words;
                fours.results = result;
                fours.y = y + to;
                fours.next = next;
                qir_conv_u8few_T_dsp_codes(&fours, weights, end);
                weights = fours.last;
                result += channel / 4 * QIR_RESULT;
                to += channel;
            }
            #endif
            for (; channel < channels; channel += 4, weights += words, result += QIR_RESULT) {
                const int32_t count = channels - channel < 4 ? channels - channel : 4;
                int32_t sums[8];
                qir_conv_u8few_T_dsp_two(pairs, weights, end, result, sums);
                #if QIR_SUMS
                qir_conv_u8few_T_dsp_finish(s, sums, result, &q, sum, other + to, count, y + to);
                if (next) {
                    qir_conv_u8few_T_dsp_finish(s, sums + 4, result, &q, sum, other + to + next, count, y + to + next);
                }
                #else
                qir_conv_u8few_T_dsp_finish(s, sums, result, &q, count, y + to);
                qir_conv_u8few_T_dsp_finish(s, sums + 4, result, &q, count, y + to + next);
                #endif
                to += count;
            }
        }
        qir_conv_u8_next(&s->window, &place);
    }
}
