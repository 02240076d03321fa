/* Windows of two pixels as pairs, for convolutions by DSP instructions. */
#ifndef QIR_CONV_U8_DSP_H
#define QIR_CONV_U8_DSP_H

#include "../../runtime/qir_dsp.h"
#include "conv_u8_window.h"

/* Codes, or where there are none the code of zero, as pairs of one of two pixels: [four codes][even, odd][pixel]. */
static QIR_ALONE uint32_t *qir_conv_u8_dsp_widen(const uint8_t *from, int32_t count, uint32_t zero, uint32_t *to) {
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
} qir_conv_u8_dsp_line;

static inline void qir_conv_u8_dsp_run(qir_conv_u8_dsp_line *line, const uint8_t *from, int32_t count) {
    const int32_t fours = count & ~3;
    int32_t i;
    line->pairs = qir_conv_u8_dsp_widen(from, fours, line->zero, line->pairs);
    for (i = fours; i < count; ++i) {
        *line->rest++ = from ? from[i] : (uint8_t)line->zero;
    }
}

static QIR_ALONE void qir_conv_u8_dsp_take(void *taker, const uint8_t *from, int32_t count) {
    qir_conv_u8_dsp_line *const line = (qir_conv_u8_dsp_line *)taker;
    if (line->whole || count == line->run) {
        qir_conv_u8_dsp_run(line, from, count);
        return;
    }
    for (; count > 0; --count) {
        line->parts[line->filled++] = from ? *from++ : (uint8_t)line->zero;
    }
    if (line->filled == line->run) {
        line->filled = 0;
        qir_conv_u8_dsp_run(line, line->parts, line->run);
    }
}

/* The window of one pixel as pairs; behind those of both pixels there is room for a run and what is left of all. */
static QIR_ALONE void qir_conv_u8_dsp_row(const qir_conv_u8_shape *s, const uint8_t *x,
                                              const qir_conv_u8_place *place, int32_t group, uint32_t *pairs,
                                              void *room) {
    qir_conv_u8_dsp_line line;
    int32_t left;
    line.run = s->in_channels * qir_conv_u8_together(s);
    line.whole = s->in_channels % 4 == 0;
    line.filled = 0;
    line.zero = (uint32_t)s->x_zero_point * 0x10001u;
    line.pairs = pairs;
    line.parts = (uint8_t *)room;
    line.rest = line.parts + line.run;
    qir_conv_u8_take_window(s, x, place, group, qir_conv_u8_dsp_take, &line);
    left = (int32_t)(line.rest - line.parts) - line.run;
    if (left) {
        for (; left % 4; ++left) {
            *line.rest++ = 0;
        }
        (void)qir_conv_u8_dsp_widen(line.rest - left, left, line.zero, line.pairs);
    }
}

/* The windows of two pixels, `a` and `b` on, as pairs, where all taps are inside the input; `step` as of qir_conv_u8_insides.
   */
static QIR_ALONE void qir_conv_u8_dsp_inside(const qir_conv_u8_shape *s, const ptrdiff_t *step, const uint8_t *a,
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
static inline int32_t qir_conv_u8_dsp_words(const qir_conv_u8_shape *s) {
    const int32_t *const kernel = s->window.kernel;
    return (kernel[0] * kernel[1] * kernel[2] * s->in_channels + 3) / 4 * 4;
}

#endif
