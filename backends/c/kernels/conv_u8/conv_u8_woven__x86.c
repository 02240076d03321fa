#include "../../runtime/qir_woven_x86.h"
#include "conv_u8_woven.h"

/* template: begin */
#include "../../runtime/qir_x86_words.h"
/* template: end */

/* For AVX2, what conv_u8__x86.c computes, where segments go by chunks of 16 bytes, with codes of 16 bits for vpmaddwd:
   the windows of a block are woven once, then multiplied with one panel of weights after the other, and the sums of a
   panel become results together. Codes keep their zero point: weights and further steps are those of conv_u8__x86.c, but
   bias always holds -x_zero_point * sum of w. scratch: see qir_conv_u8_set_up. */
typedef struct {
    const qir_row *pixels;
    int32_t count;    /* of them */
    int32_t channels; /* that are left from the panel's first one on */
    const int32_t *sums;
    const float *multiplier;
    const qir_requant *requant;
    #if QIR_SUMS
    const qir_sum *sum;
    const uint8_t *other;
    #endif
} qir_conv_u8s8_woven_T_panel;

/* The results of a panel: of two pixels at a time, or four where no more than one vector of channels is left; those that
   fill no vector are written apart first. */
QIR_TARGET QIR_ALONE static void qir_conv_u8s8_woven_T_results(const qir_conv_u8s8_woven_T_panel *p, QIR_Y *y) {
    const QIR_REQUANT q = QIR_WIDEN_REQUANT(p->requant);
    const QIR_REALS scale = QIR_LOAD_REALS(p->multiplier), scale2 = QIR_LOAD_REALS(p->multiplier + QIR_WIDTH);
    const qir_row *to = p->pixels;
    const int32_t *from = p->sums;
    int32_t left = p->count;
    #if QIR_SUMS
    const QIR_SUM_NUMBERS numbers = QIR_WIDEN_SUM(p->sum);
    const uint8_t *const other = p->other;
    #define QIR_REAL(i, at, scale, beside) \
    QIR_SUM(QIR_SCALED(QIR_LOAD(from + 16 * (i) + (at)), scale), &numbers, (beside) + (at), QIR_OWN_FIRST)
    #else
    #define QIR_REAL(i, at, scale, beside) QIR_SCALED(QIR_LOAD(from + 16 * (i) + (at)), scale)
    #endif
    #define QIR_TWO(other0, other1, y0, y1)                                                              \
    QIR_PAIR(QIR_REAL(0, 0, scale, other0), QIR_REAL(0, QIR_WIDTH, scale2, other0),                      \
             QIR_REAL(1, 0, scale, other1), QIR_REAL(1, QIR_WIDTH, scale2, other1), q, y0, y1)
    if (p->channels >= 2 * QIR_WIDTH) {
        for (; left > 1; left -= 2, to += 2, from += 32) {
            QIR_TWO(other + to[0].to, other + to[1].to, y + to[0].to, y + to[1].to);
        }
    } else if (p->channels == QIR_WIDTH) {
        for (; left > 3; left -= 4, to += 4, from += 64) {
            QIR_FOUR(QIR_REAL(0, 0, scale, other + to[0].to), QIR_REAL(1, 0, scale, other + to[1].to),
                     QIR_REAL(2, 0, scale, other + to[2].to), QIR_REAL(3, 0, scale, other + to[3].to), q,
                     y + to[0].to, y + to[1].to, y + to[2].to, y + to[3].to);
        }
    }
    for (; left > 0; left -= 2, to += 2, from += 32) {
        const int32_t channels = p->channels < 16 ? p->channels : 16, some = left < 2 ? left : 2;
        QIR_Y part[2 * 16];
        int32_t i;
        #if QIR_SUMS
        uint8_t beside[2 * 16] = {0};
        for (i = 0; i < some; ++i) {
            QIR_PART(other + to[i].to, channels, beside + 16 * i);
        }
        #endif
        QIR_TWO(beside, beside + 16, part, part + 16);
        for (i = 0; i < some; ++i) {
            QIR_PART(part + 16 * i, channels, y + to[i].to);
        }
    }
    #undef QIR_REAL
    #undef QIR_TWO
}

QIR_TARGET QIR_ALONE
void qir_conv_u8s8_woven_T__x86(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b, const uint8_t *QIR_RESTRICT x,
                                const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                            const float *QIR_RESTRICT multiplier, QIR_AGAIN QIR_SUMMED void *QIR_RESTRICT scratch,
                            QIR_Y *y) {
    const int32_t panels = (s->out_channels + 15) / 16, wide = QIR_CODES == 2;
    const int32_t length = b->by_taps ? s->in_channels : s->window.kernel[2] * s->in_channels;
    const ptrdiff_t codes = (ptrdiff_t)b->segments * length, stored = 16 * codes;
    const qir_conv_u8_loom loom = qir_conv_u8_set_up(b, codes << wide, QIR_WOVEN_ROWS, scratch);
    qir_conv_u8_block at = qir_conv_u8_first_block(s, b), last = {0, 0, 0, 0, 0, 0};
    qir_heights cut = {0, 0, 0};
    qir_woven t;
    qir_conv_u8s8_woven_T_panel results;
    t.chunks = (int32_t)(codes << wide) / 16;
    results.pixels = loom.pixels;
    results.sums = loom.sums;
    results.requant = &s->requant;
    #if QIR_SUMS
    results.sum = sum;
    #endif
    for (; qir_conv_u8_block_left(s, &at); qir_conv_u8_next_block(s, b, &at)) {
        const ptrdiff_t first = qir_conv_u8_pixel(b, &at) * s->groups * s->out_channels;
        int32_t group, p;
        qir_conv_u8_open(s, b, &at, x, QIR_CONV_U8_CODES, loom.segments);
        if (at.rows != last.rows || at.columns != last.columns) {
            qir_conv_u8_list(s, b, &at, QIR_CONV_U8_CODES, loom.segments, loom.pixels);
            cut = qir_cut_into_tiles(at.rows * at.columns, QIR_WOVEN_ROWS);
            t.apart = stored / ((ptrdiff_t)t.chunks * (cut.higher + cut.lower));
            last = at;
        }
        results.count = at.rows * at.columns;
        for (group = 0; group < s->groups; ++group) {
            qir_conv_u8_weave(&loom, b->segments, length, wide, &cut, QIR_WOVEN_ROWS,
                              (const uint8_t *)loom.segments[0] + (ptrdiff_t)group * s->in_channels);
            for (p = 0; p < panels; ++p) {
                const ptrdiff_t place = (ptrdiff_t)group * panels + p;
                const ptrdiff_t start = first + (ptrdiff_t)group * s->out_channels + p * 16;
                t.weights = w + place * stored;
                #if QIR_CODES == 8
                t.weights += (ptrdiff_t)again[place] * QIR_STEP_BYTES;
                t.again = again[place + 1] - again[place];
                t.number = again + s->groups * panels + 1 + again[place];
                #endif
                t.next = (const char *)(place + 1 < (ptrdiff_t)s->groups * panels ? t.weights + stored : w);
                t.bias = bias + place * 16;
                results.multiplier = multiplier + place * 16;
                results.channels = s->out_channels - p * 16;
                #if QIR_SUMS
                results.other = other + start;
                #endif
                QIR_WOVEN_SUMS(&t, loom.woven, loom.offsets, &cut, results.channels, loom.sums);
                qir_conv_u8s8_woven_T_results(&results, y + start);
            }
        }
    }
}
