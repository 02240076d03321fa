#include "../../runtime/qir_dsp.h"
#include "conv_u8_window.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE4 qir_dsp_store4_bytes
/* template: end */

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

/* Where the codes of a window go: as pairs, or as bytes first where runs of them are no multiples of four. */
typedef struct {
    uint32_t zero;
    uint32_t *pairs;
    uint8_t *bytes;
} qir_conv_u8s8_T_dsp_line;

static QIR_ALONE void qir_conv_u8s8_T_dsp_take(void *taker, const uint8_t *from, int32_t count) {
    qir_conv_u8s8_T_dsp_line *const line = (qir_conv_u8s8_T_dsp_line *)taker;
    if (line->bytes == NULL) {
        line->pairs = qir_conv_u8s8_T_dsp_widen(from, count, line->zero, line->pairs);
    } else if (from == NULL) {
        memset(line->bytes, (int)line->zero & 255, (size_t)count);
        line->bytes += count;
    } else {
        for (; count >= 4; count -= 4, from += 4, line->bytes += 4) {
            const uint32_t word = qir_dsp_word(from);
            memcpy(line->bytes, &word, sizeof word);
        }
        for (; count > 0; --count) {
            *line->bytes++ = *from++;
        }
    }
}

static inline int32_t qir_conv_u8s8_T_dsp_taps(const qir_conv_u8_shape *s) {
    return s->window.kernel[0] * s->window.kernel[1] * s->window.kernel[2];
}

/* Pairs of the codes of a window and of what fills them up, for two pixels: as many as codes. */
static inline int32_t qir_conv_u8s8_T_dsp_words(const qir_conv_u8_shape *s) {
    return (qir_conv_u8s8_T_dsp_taps(s) * s->in_channels + 3) / 4 * 4;
}

/* The window of one pixel as pairs. `bytes`: room for its codes. */
static QIR_ALONE void qir_conv_u8s8_T_dsp_row(const qir_conv_u8_shape *s, const uint8_t *x, int32_t pixel, int32_t group,
                                              uint32_t *pairs, void *bytes) {
    const int32_t words = qir_conv_u8s8_T_dsp_words(s), channels = s->in_channels;
    qir_conv_u8s8_T_dsp_line line;
    line.zero = (uint32_t)s->x_zero_point * 0x10001u;
    line.pairs = pairs;
    line.bytes = channels % 4 ? (uint8_t *)bytes : NULL;
    if (line.bytes) {
        memset((uint8_t *)bytes + words - 4, 0, 4);
    }
    qir_conv_u8_take_window(s, x, pixel, group, qir_conv_u8s8_T_dsp_take, &line);
    if (line.bytes) {
        (void)qir_conv_u8s8_T_dsp_widen((const uint8_t *)bytes, words, line.zero, pairs);
    }
}

/* Results of two pixels, `next` apart, with as many of four channels as are left. */
static QIR_ALONE void qir_conv_u8s8_T_dsp_finish(const int32_t *sums, const float *multiplier, const qir_dsp_requant *q,
                                                 QIR_Y *y, ptrdiff_t next, int32_t left) {
    if (left >= 4) {
        QIR_STORE4(sums, multiplier, q, y);
        QIR_STORE4(sums + 4, multiplier, q, y + next);
    } else {
        QIR_Y part[8];
        QIR_STORE4(sums, multiplier, q, part);
        QIR_STORE4(sums + 4, multiplier, q, part + 4);
        memcpy(y, part, (size_t)left * sizeof(QIR_Y));
        memcpy(y + next, part + 4, (size_t)left * sizeof(QIR_Y));
    }
}

/* Weights: [group][four channels][four codes][even, odd][two channels] words, see qir_dsp_two_by_four, zeros where there is
   no channel or code; bias and multiplier: [group][four channels][4]. Codes go by [kernel taps][in_channels]. scratch
   holds the pairs of two pixels, and where in_channels is no multiple of four the codes of one. Of an odd number of
   pixels the last is computed twice. */
void qir_conv_u8s8_T__dsp(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x, const uint32_t *QIR_RESTRICT w,
                          const int32_t *QIR_RESTRICT bias, const float *QIR_RESTRICT multiplier,
                          void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    const int32_t pixels = qir_pixels(&s->window), channels = s->out_channels;
    const int32_t words = qir_conv_u8s8_T_dsp_words(s);
    const ptrdiff_t all = (ptrdiff_t)s->groups * channels;
    const qir_dsp_requant q = qir_dsp_widen_requant(&s->requant);
    uint32_t *const pairs = (uint32_t *)scratch;
    int32_t pixel, group, channel;
    for (pixel = 0; pixel < pixels; pixel += 2, y += 2 * all) {
        const int32_t beside = pixel + 1 < pixels;
        const uint32_t *weights = w;
        const int32_t *own_bias = bias;
        const float *scale = multiplier;
        for (group = 0; group < s->groups; ++group) {
            qir_conv_u8s8_T_dsp_row(s, x, pixel, group, pairs, pairs + words);
            qir_conv_u8s8_T_dsp_row(s, x, pixel + beside, group, pairs + 1, pairs + words);
            for (channel = 0; channel < channels; channel += 4, weights += words, own_bias += 4, scale += 4) {
                int32_t sums[8];
                qir_dsp_two_by_four(pairs, weights, pairs + words, own_bias, sums);
                qir_conv_u8s8_T_dsp_finish(sums, scale, &q, y + group * channels + channel, beside * all,
                                           channels - channel);
            }
        }
    }
}
