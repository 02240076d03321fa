#include "../../runtime/qir_dsp.h"
#include "conv_u8_window.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE4 qir_dsp_store4_u8
#define QIR_RESULT QIR_DSP_REAL_WORDS
#define QIR_PRODUCTS QIR_DSP_JOINED_4
#define QIR_JOINED QIR_DSP_JOINED_SUMS
#define QIR_BY_FOURS 1
#define QIR_SCALES QIR_DSP_REAL_SCALES
#define QIR_ROUNDED QIR_DSP_REAL_EIGHT
#define QIR_CODES QIR_DSP_PAIRS_EIGHT
#define QIR_CLAMP ""
#define QIR_SUMS 0
#define QIR_SUMMED
#define QIR_SUM_CODES qir_dsp_sum_codes
/* template: end */

QIR_DSP_TWO_BY_FOUR(qir_conv_u8s8_T_dsp_two, QIR_PRODUCTS, QIR_JOINED)

#if QIR_BY_FOURS
QIR_DSP_CODES(qir_conv_u8s8_T_dsp_codes, QIR_PRODUCTS, QIR_JOINED, QIR_SCALES, QIR_ROUNDED, QIR_CODES, QIR_CLAMP)
#endif

/* Codes, or where there are none the code of zero, as pairs of one of two pixels: [four codes][even, odd][pixel]. */
static QIR_ALONE uint32_t *qir_conv_u8s8_T_dsp_widen(const uint8_t *from, int32_t count, uint32_t zero, uint32_t *to) {
    const uint32_t *const end = to + count;
    if (from == NULL) {
        for (; to < end; to += 4) {
            to[0] = zero;
            to[2] = zero;
        }
        return to;
    }
    for (; to < end; to += 4, from += 4) {
        const uint32_t word = qir_dsp_word(from);
        to[0] = qir_dsp_even(word);
        to[2] = qir_dsp_odd(word);
    }
    return to;
}

/* Where the codes of a window go: each run as pairs, four by four; what is left of all runs as bytes, and as pairs last.
   Where channels do not go by fours a run that comes in parts is put together first. */
typedef struct {
    int32_t run;
    int32_t whole; /* parts of runs go by fours */
    int32_t filled;
    uint32_t zero;
    uint32_t *pairs;
    uint8_t *rest;
    uint8_t *parts;
} qir_conv_u8s8_T_dsp_line;

static void qir_conv_u8s8_T_dsp_run(qir_conv_u8s8_T_dsp_line *line, const uint8_t *from, int32_t count) {
    const int32_t fours = count & ~3;
    int32_t i;
    line->pairs = qir_conv_u8s8_T_dsp_widen(from, fours, line->zero, line->pairs);
    for (i = fours; i < count; ++i) {
        *line->rest++ = from ? from[i] : (uint8_t)line->zero;
    }
}

static QIR_ALONE void qir_conv_u8s8_T_dsp_take(void *taker, const uint8_t *from, int32_t count) {
    qir_conv_u8s8_T_dsp_line *const line = (qir_conv_u8s8_T_dsp_line *)taker;
    if (line->whole || count == line->run) {
        qir_conv_u8s8_T_dsp_run(line, from, count);
        return;
    }
    for (; count > 0; --count) {
        line->parts[line->filled++] = from ? *from++ : (uint8_t)line->zero;
    }
    if (line->filled == line->run) {
        line->filled = 0;
        qir_conv_u8s8_T_dsp_run(line, line->parts, line->run);
    }
}

/* The window of one pixel as pairs; behind those of both pixels there is room for a run and what is left of all. */
static QIR_ALONE void qir_conv_u8s8_T_dsp_row(const qir_conv_u8_shape *s, const uint8_t *x,
                                              const qir_conv_u8_place *place, int32_t group, uint32_t *pairs,
                                              void *room) {
    qir_conv_u8s8_T_dsp_line line;
    int32_t left;
    line.run = s->in_channels * qir_conv_u8_together(s);
    line.whole = s->in_channels % 4 == 0;
    line.filled = 0;
    line.zero = (uint32_t)s->x_zero_point * 0x10001u;
    line.pairs = pairs;
    line.parts = (uint8_t *)room;
    line.rest = line.parts + line.run;
    qir_conv_u8_take_window(s, x, place, group, qir_conv_u8s8_T_dsp_take, &line);
    left = (int32_t)(line.rest - line.parts) - line.run;
    if (left) {
        for (; left % 4; ++left) {
            *line.rest++ = 0;
        }
        (void)qir_conv_u8s8_T_dsp_widen(line.rest - left, left, line.zero, line.pairs);
    }
}

/* The windows of two pixels, `a` and `b` on, as pairs, where all taps are inside the input; `step` as of qir_conv_u8_insides.
   */
static QIR_ALONE void qir_conv_u8s8_T_dsp_inside(const qir_conv_u8_shape *s, const ptrdiff_t *step, const uint8_t *a,
                                                 const uint8_t *b, uint32_t *pairs, uint8_t *room) {
    const qir_window *const w = &s->window;
    const int32_t together = qir_conv_u8_together(s), run = s->in_channels * together, rest = run & 3;
    const ptrdiff_t column = step[2] * together * w->dilation[2];
    uint8_t *more = room;
    int32_t k, l, m, i, left = w->kernel[0] * w->kernel[1] * w->kernel[2];
    left = (left / together * rest + 3) & ~3;
    for (k = 0; k < w->kernel[0]; ++k) {
        for (l = 0; l < w->kernel[1]; ++l) {
            ptrdiff_t from = k * w->dilation[0] * step[0] + l * w->dilation[1] * step[1];
            for (m = w->kernel[2]; m > 0; m -= together, from += column) {
                pairs = qir_dsp_widen(a + from, b + from, run - rest, pairs);
                for (i = run - rest; i < run; ++i, ++more) {
                    more[0] = a[from + i];
                    more[left] = b[from + i];
                }
            }
        }
    }
    if (rest) {
        for (; more < room + left; ++more) {
            more[0] = 0;
            more[left] = 0;
        }
        (void)qir_dsp_widen(room, room + left, left, pairs);
    }
}

/* Pairs of the codes of a window and of what fills them up, for two pixels: as many as codes. */
static inline int32_t qir_conv_u8s8_T_dsp_words(const qir_conv_u8_shape *s) {
    const int32_t *const kernel = s->window.kernel;
    return (kernel[0] * kernel[1] * kernel[2] * s->in_channels + 3) / 4 * 4;
}

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

/* Weights: [group][four channels][four codes][even, odd][two channels] words, zeros where there is no channel or code;
   results: [group][four channels][QIR_RESULT]. Codes go by runs that lie together, each but for what does not go by fours,
   which follows the last run. scratch: pairs of two pixels, a run, what is left of all. Of an odd number of pixels the last
   is computed twice. sum, other: where results are sums with other codes, which lie as those of y do and may share their
   bytes. */
void qir_conv_u8s8_T__dsp(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x, const uint32_t *QIR_RESTRICT w,
                          const uint32_t *QIR_RESTRICT results, QIR_SUMMED void *QIR_RESTRICT scratch, QIR_Y *y) {
    const int32_t channels = s->out_channels, words = qir_conv_u8s8_T_dsp_words(s);
    const ptrdiff_t all = (ptrdiff_t)s->groups * channels;
    #if QIR_SUMS
    const qir_dsp_requant q = qir_dsp_widen_requant(&sum->requant);
    #else
    const qir_dsp_requant q = qir_dsp_widen_requant(&s->requant);
    #endif
    uint32_t *const pairs = (uint32_t *)scratch, *const end = pairs + words;
    const int32_t is_run = s->in_channels * qir_conv_u8_together(s) == words; /* windows are such, and go by fours */
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
                (void)qir_dsp_widen(a + own, b + own, words, pairs);
            } else if (b) {
                qir_conv_u8s8_T_dsp_inside(s, insides.step, a + own, b + own, pairs, (uint8_t *)end);
            } else {
                qir_conv_u8s8_T_dsp_row(s, x, &one, group, pairs, end);
                qir_conv_u8s8_T_dsp_row(s, x, &place, group, pairs + 1, end);
            }
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
        }
        qir_conv_u8_next(&s->window, &place);
    }
}
