#include "conv_u8_depthwise.h"
#include "conv_u8_depthwise_avx2.h"

/* template: begin */
#define QIR_KERNEL qir_conv_u8s8_depthwise_u8__avx2
#define QIR_ISA QIR_AVX2
#define QIR_V __m256i
#define QIR_WIDTH 32
#define QIR_TAKEN 2
#define QIR_GROUPS 2
#define QIR_TAPS 3
#define QIR_NEXT 2
#define QIR_DEPTH 2
#define QIR_DOT QIR_DOT2
#define QIR_BOUNDS qir_depthwise_avx2_bounds
#define QIR_WIDEN qir_depthwise_avx2_widen
#define QIR_LOAD qir_depthwise_avx2_load
#define QIR_STEPS qir_depthwise_avx2_steps
#define QIR_WORDS qir_depthwise_avx2_words
#define QIR_BYTES qir_depthwise_avx2_bytes
#define QIR_STORE qir_depthwise_avx2_store
#define QIR_JOIN qir_depthwise_avx2_join
#define QIR_JOIN_WEIGHTS qir_depthwise_avx2_join_weights
#define QIR_FOUR qir_depthwise_avx2_four
#define QIR_WORK qir_depthwise_avx2_work
#define QIR_SUMS qir_depthwise_avx2_sums
#define QIR_TILE qir_depthwise_avx2_tile
#define QIR_PACK qir_depthwise_avx2_pack
#define QIR_OPEN qir_depthwise_avx2_open
#define QIR_STRIP qir_depthwise_avx2_strip
#define QIR_PAIR qir_depthwise_avx2_pair
#define QIR_SINGLE qir_depthwise_avx2_single
#define QIR_SPREAD qir_depthwise_avx2_spread
#define QIR_UNDER qir_depthwise_avx2_under
#define QIR_LINES qir_depthwise_avx2_lines
/* template: end */

/* One vector of each of four output pixels. */
typedef struct {
    QIR_V a, b, c, d;
} QIR_FOUR;

/* A block of channels, and the row (or the two rows) of outputs in work. Vectors come by four, see QIR_JOIN. */
typedef struct {
    QIR_V *weights;                      /* [column][group of rows][output row][4] */
    QIR_V *joined;                       /* [column][group of rows][4] */
    qir_conv_u8_depthwise_row *rows;     /* [group][QIR_DEPTH] */
    uint8_t *copies;                     /* of rows */
    const uint8_t *outside;              /* a vector of zero points */
    const QIR_V *joined_outside;         /* the same, joined */
    const int32_t *bias;                 /* [4][lane] */
    const float *multiplier;
    QIR_BOUNDS bounds;
    int32_t count;                       /* codes of a vector that are results */
    int32_t columns, inner;              /* joined one by one: `inner` for each of `columns` */
    int32_t first, next, next_inner;     /* column of the input of the first one, and from one to the next */
    ptrdiff_t start, far, far_inner;     /* the same in bytes */
    ptrdiff_t far_output, far_column;    /* bytes from an output's first column to the next one's, and to its next */
    int32_t inside;                      /* columns of the input */
    int32_t under, window;               /* of `columns`: from an output to the next, and in a window */
} QIR_WORK;

/* Rounded results of vector `v` of four outputs: two rows of two where `pair`, else a row. */
QIR_ISA static QIR_INLINE QIR_FOUR QIR_SUMS(const int32_t pair, const QIR_WORK *t, const int32_t v,
                                            const QIR_V *joined) {
    const int32_t lanes = QIR_WIDTH / 4;
    const float *const multiplier = t->multiplier + v * lanes;
    const QIR_V *w = t->weights + v;
    QIR_V a = QIR_LOAD(t->bias + v * lanes), b = a, c = a, d = a;
    QIR_FOUR four;
    int32_t k;
    joined += v;
    for (k = 0; k < QIR_TAPS * QIR_GROUPS; ++k, joined += 4, w += 4 * QIR_TAKEN) {
        const QIR_V x0 = QIR_LOAD(joined), x1 = QIR_LOAD(joined + 4 * QIR_NEXT), upper = QIR_LOAD(w);
        QIR_DOT(a, x0, upper);
        QIR_DOT(b, x1, upper);
        if (pair) {
            const QIR_V lower = QIR_LOAD(w + 4);
            QIR_DOT(c, x0, lower);
            QIR_DOT(d, x1, lower);
        } else {
            const QIR_V x2 = QIR_LOAD(joined + 8 * QIR_NEXT), x3 = QIR_LOAD(joined + 12 * QIR_NEXT);
            QIR_DOT(c, x2, upper);
            QIR_DOT(d, x3, upper);
        }
    }
    four.a = QIR_STEPS(a, multiplier);
    four.b = QIR_STEPS(b, multiplier);
    four.c = QIR_STEPS(c, multiplier);
    four.d = QIR_STEPS(d, multiplier);
    return four;
}

QIR_ISA static QIR_INLINE QIR_FOUR QIR_PACK(QIR_FOUR first, QIR_FOUR second, QIR_BOUNDS q) {
    QIR_FOUR words;
    words.a = QIR_WORDS(first.a, second.a, q);
    words.b = QIR_WORDS(first.b, second.b, q);
    words.c = QIR_WORDS(first.c, second.c, q);
    words.d = QIR_WORDS(first.d, second.d, q);
    return words;
}

/* Joins a quarter of what the tile after the next needs, between a tile's own sums: joining and multiplying want
   different parts of the processor. */
QIR_ISA static QIR_INLINE void QIR_AHEAD(const QIR_WORK *t, const int32_t units, const int32_t quarter,
                                         ptrdiff_t offset, QIR_V *joined) {
    const ptrdiff_t far_output = t->far_output, far_column = t->far_column;
    const qir_conv_u8_depthwise_row *const rows = t->rows;
    int32_t unit, r;
    for (unit = units * quarter / 4; unit < units * (quarter + 1) / 4; ++unit) {
        const ptrdiff_t at = offset + unit / QIR_NEXT * far_output + unit % QIR_NEXT / QIR_GROUPS * far_column;
        const uint8_t *group[QIR_DEPTH];
        for (r = 0; r < QIR_DEPTH; ++r) {
            const qir_conv_u8_depthwise_row *const row = rows + unit % QIR_GROUPS * QIR_DEPTH + r;
            ptrdiff_t counted = at & row->counts;
            QIR_ALONG(counted);
            group[r] = row->from + counted;
        }
        QIR_JOIN(group, joined + 4 * unit);
    }
}

/* Four outputs. Of those at the end of a strip only `left` are any: what else comes out is written over. `ahead`, if
   not null, is where what lies `offset` bytes on is joined meanwhile. */
QIR_ISA static QIR_INLINE void QIR_TILE(const int32_t pair, const QIR_WORK *t, const QIR_V *joined, int32_t left,
                                        ptrdiff_t offset, QIR_V *ahead, uint8_t *y, ptrdiff_t y_next,
                                        ptrdiff_t y_down) {
    const int32_t units = (pair ? 2 : 4) * QIR_NEXT;
    const QIR_BOUNDS q = t->bounds;
    QIR_FOUR first, low, high;
    first = QIR_SUMS(pair, t, 0, joined);
    if (ahead) {
        QIR_AHEAD(t, units, 0, offset, ahead);
    }
    low = QIR_PACK(first, QIR_SUMS(pair, t, 1, joined), q);
    if (ahead) {
        QIR_AHEAD(t, units, 1, offset, ahead);
    }
    first = QIR_SUMS(pair, t, 2, joined);
    if (ahead) {
        QIR_AHEAD(t, units, 2, offset, ahead);
    }
    high = QIR_PACK(first, QIR_SUMS(pair, t, 3, joined), q);
    if (ahead) {
        QIR_AHEAD(t, units, 3, offset, ahead);
    }
    {
        uint8_t *const second = left > 1 ? y + y_next : y;
        const int32_t count = t->count;
        if (pair) {
            QIR_STORE(second + y_down, QIR_BYTES(low.d, high.d, q), count);
            QIR_STORE(y + y_down, QIR_BYTES(low.c, high.c, q), count);
        } else {
            QIR_STORE(left > 3 ? y + 3 * y_next : y, QIR_BYTES(low.d, high.d, q), count);
            QIR_STORE(left > 2 ? y + 2 * y_next : y, QIR_BYTES(low.c, high.c, q), count);
        }
        QIR_STORE(second, QIR_BYTES(low.b, high.b, q), count);
        QIR_STORE(y, QIR_BYTES(low.a, high.a, q), count);
    }
}

QIR_ISA QIR_ALONE static void QIR_PAIR(const QIR_WORK *t, const QIR_V *joined, int32_t left, ptrdiff_t offset,
                                       QIR_V *ahead, uint8_t *y, ptrdiff_t y_next, ptrdiff_t y_down) {
    QIR_TILE(1, t, joined, left, offset, ahead, y, y_next, y_down);
}

QIR_ISA QIR_ALONE static void QIR_SINGLE(const QIR_WORK *t, const QIR_V *joined, int32_t left, ptrdiff_t offset,
                                         QIR_V *ahead, uint8_t *y, ptrdiff_t y_next) {
    QIR_TILE(0, t, joined, left, offset, ahead, y, y_next, 0);
}

/* Joins columns [from, to). */
QIR_ISA QIR_ALONE static void QIR_OPEN(const QIR_WORK *t, int32_t from, int32_t to) {
    const int32_t next = t->next, inside = t->inside;
    const ptrdiff_t far = t->far, step = (ptrdiff_t)t->inner * QIR_GROUPS * 4;
    const QIR_V outside = QIR_LOAD(t->joined_outside);
    qir_conv_u8_depthwise_row rows[QIR_GROUPS * QIR_DEPTH];
    int32_t i, j, g, r;
    for (r = 0; r < QIR_GROUPS * QIR_DEPTH; ++r) {
        rows[r] = t->rows[r];
    }
    for (j = 0; j < t->inner; ++j) {
        QIR_V *joined = t->joined + from * step + (ptrdiff_t)j * QIR_GROUPS * 4;
        ptrdiff_t offset = t->start + from * far + j * t->far_inner;
        int32_t column = t->first + from * next + j * t->next_inner;
        for (i = from; i < to; ++i, column += next, offset += far, joined += step) {
            if ((uint32_t)column < (uint32_t)inside) {
                for (g = 0; g < QIR_GROUPS; ++g) {
                    const uint8_t *group[QIR_DEPTH];
                    for (r = 0; r < QIR_DEPTH; ++r) {
                        const qir_conv_u8_depthwise_row row = rows[g * QIR_DEPTH + r];
                        ptrdiff_t counted = offset & row.counts;
                        QIR_ALONG(counted);
                        group[r] = row.from + counted;
                    }
                    QIR_JOIN(group, joined + 4 * g);
                }
            } else {
                for (g = 0; g < QIR_GROUPS * 4; ++g) {
                    memcpy(joined + g, &outside, sizeof outside);
                }
            }
        }
    }
}

/* A strip of `outputs` vectors of an output row, or of two. Columns are joined a tile before they are needed. */
static void QIR_STRIP(const QIR_WORK *t, int32_t rows, int32_t outputs, uint8_t *y, ptrdiff_t y_next,
                      ptrdiff_t y_down) {
    const int32_t tile = rows > 1 ? 2 : 4, last = (t->inner - 1) * t->next_inner;
    const ptrdiff_t step = (ptrdiff_t)t->inner * QIR_GROUPS * 4;
    const int32_t begin = (tile - 1) * t->under + t->window;
    int32_t at, done = begin < t->columns ? begin : t->columns;
    QIR_OPEN(t, 0, done);
    for (at = 0; at < outputs; at += tile) {
        const QIR_V *const joined = t->joined + (ptrdiff_t)at * 4 * QIR_NEXT;
        const int32_t wanted = done + tile * t->under, to = wanted < t->columns ? wanted : t->columns;
        const int32_t from = t->first + done * t->next, end = t->first + (to - 1) * t->next + last;
        const int inside = to == wanted && from >= 0 && end < t->inside;
        const ptrdiff_t offset = t->start + done * t->far;
        QIR_V *const ahead = inside ? t->joined + done * step : 0;
        if (!inside) {
            QIR_OPEN(t, done, to);
        }
        done = to;
        if (rows > 1) {
            QIR_PAIR(t, joined, outputs - at, offset, ahead, y + at * y_next, y_next, y_down);
        } else {
            QIR_SINGLE(t, joined, outputs - at, offset, ahead, y + at * y_next, y_next);
        }
    }
}

/* Weights of QIR_WIDTH channels, joined as codes are: those of the lower of two output rows one row further down. */
QIR_ISA static void QIR_SPREAD(const QIR_WORK *t, const qir_window *win, const int8_t *w, ptrdiff_t step,
                               const uint8_t *zeros) {
    const uint8_t *group[QIR_DEPTH];
    const int32_t rows = win->kernel[0] * win->kernel[1];
    QIR_V *to = t->weights;
    int32_t column, g, r, i;
    for (column = 0; column < QIR_TAPS; ++column) {
        for (g = 0; g < QIR_GROUPS; ++g) {
            for (r = 0; r < QIR_TAKEN; ++r, to += 4) {
                for (i = 0; i < QIR_DEPTH; ++i) {
                    const int32_t row = g * QIR_DEPTH + i - r;
                    const int8_t *const from = w + ((ptrdiff_t)row * win->kernel[2] + column) * step;
                    group[i] = row >= 0 && row < rows ? (const uint8_t *)(const void *)from : zeros;
                }
                QIR_JOIN_WEIGHTS(group, to);
            }
        }
    }
}

/* The rows under a strip of outputs that starts at pixel `at`. */
static void QIR_UNDER(const qir_conv_u8_shape *s, const qir_conv_u8_depthwise *d, const QIR_WORK *t, const uint8_t *x,
                      const qir_conv_u8_block *at, int32_t channel) {
    const qir_window *const win = &s->window;
    const ptrdiff_t channels = s->groups;
    const int32_t rows = win->kernel[0] * win->kernel[1] + QIR_TAKEN - 1, across = qir_conv_u8_extent(win, 2, at->columns);
    const int32_t start = at->column * win->stride[2] - win->pad[2];
    uint8_t *copies = t->copies;
    int32_t i;
    for (i = 0; i < QIR_GROUPS * QIR_DEPTH; ++i) {
        const int32_t down = win->kernel[0] > 1 ? i % win->kernel[1] : i, deep = win->kernel[0] > 1 ? i / win->kernel[1] : 0;
        const int32_t plane = at->plane * win->stride[0] - win->pad[0] + deep * win->dilation[0];
        const int32_t row = at->row * win->stride[1] - win->pad[1] + down * win->dilation[1];
        qir_conv_u8_depthwise_row *const to = t->rows + i;
        to->from = t->outside;
        to->counts = 0;
        if (i < rows && plane >= 0 && plane < win->in[0] && row >= 0 && row < win->in[1]) {
            const ptrdiff_t line = ((ptrdiff_t)at->sample * win->in[0] + plane) * win->in[1] + row;
            to->from = d->copied ? copies : x + (line * win->in[2] * channels + channel);
            to->counts = -1;
            if (d->copied) {
                copies = qir_conv_u8_line(s, x, at->sample, plane, row, start, across, s->x_zero_point, 0, copies);
            }
        }
    }
}

/* One output row, or two, of a block of channels. */
static void QIR_LINES(const qir_conv_u8_shape *s, const qir_conv_u8_depthwise *d, QIR_WORK *t, const uint8_t *x,
                      qir_conv_u8_block *at, int32_t channel, uint8_t *y) {
    const qir_window *const win = &s->window;
    const ptrdiff_t channels = s->groups, y_down = win->out[2] * channels;
    for (at->column = 0; at->column < win->out[2]; at->column += at->columns) {
        const int32_t left = win->out[2] - at->column;
        int32_t outputs;
        at->columns = left < d->columns ? left : d->columns;
        outputs = at->columns;
        t->first = d->copied ? 0 : at->column * win->stride[2] - win->pad[2];
        t->start = t->first * channels;
        t->columns = d->apart ? at->columns : qir_conv_u8_extent(win, 2, at->columns);
        t->count = d->width;
        QIR_UNDER(s, d, t, x, at, channel);
        if (d->flat) {
            const int32_t all = outputs * s->groups;
            outputs = all / d->width;
            t->columns = outputs;
            if (outputs * d->width < all) {
                t->count = all < d->width ? all : d->width;
                t->start = all - t->count;
                t->columns = 1;
                QIR_STRIP(t, at->rows, 1, y + t->start, d->width, y_down);
                t->start = 0;
                t->columns = outputs;
                t->count = d->width;
            }
        }
        QIR_STRIP(t, at->rows, outputs, y, d->flat ? d->width : channels, y_down);
        y += at->columns * channels;
    }
}

/* One input and one output channel a group, QIR_WIDTH of them at a time; the last ones may lap over those before.
   Weights: [tap][channel]; bias, with -x_zero_point * sum of w, and multiplier: [block][4][QIR_WIDTH / 4], as joining
   orders channels. Where there are fewer than QIR_WIDTH channels all three are filled up, or repeated where d->flat. */
QIR_ISA
void QIR_KERNEL(const qir_conv_u8_shape *s, const qir_conv_u8_depthwise *d, const uint8_t *QIR_RESTRICT x, const int8_t *QIR_RESTRICT w,
                                        const int32_t *QIR_RESTRICT bias, const float *QIR_RESTRICT multiplier,
                                        void *QIR_RESTRICT scratch, uint8_t *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int32_t channels = s->groups;
    const ptrdiff_t joined = (d->columns + 2) * QIR_NEXT + QIR_TAPS * QIR_GROUPS;
    const uint8_t *group[QIR_DEPTH];
    QIR_V *joined_outside;
    uint8_t *outside, *zeros;
    int32_t i;
    QIR_WORK t;
    int32_t channel;
    t.bounds = QIR_WIDEN(&s->requant);
    t.inside = d->copied ? INT32_MAX : win->in[2];
    t.inner = d->apart ? win->kernel[2] : 1;
    t.next = d->apart ? win->stride[2] : 1;
    t.next_inner = win->dilation[2];
    t.far = d->flat ? d->width : (ptrdiff_t)t.next * channels;
    t.far_inner = (ptrdiff_t)t.next_inner * channels;
    t.far_output = d->apart ? t.far : (ptrdiff_t)win->stride[2] * channels;
    t.far_column = d->apart ? t.far_inner : channels;
    t.under = d->apart ? 1 : win->stride[2];
    t.window = d->apart ? 1 : win->kernel[2];
    t.weights = (QIR_V *)scratch;
    t.joined = t.weights + QIR_TAPS * QIR_GROUPS * QIR_TAKEN * 4;
    joined_outside = t.joined + 4 * joined;
    zeros = (uint8_t *)(joined_outside + 4);
    outside = zeros + QIR_WIDTH;
    t.outside = outside;
    t.rows = (qir_conv_u8_depthwise_row *)(void *)(outside + QIR_WIDTH);
    t.copies = (uint8_t *)(t.rows + QIR_GROUPS * QIR_DEPTH);
    memset(zeros, 0, QIR_WIDTH);
    memset(outside, s->x_zero_point, QIR_WIDTH);
    for (i = 0; i < QIR_DEPTH; ++i) {
        group[i] = outside;
    }
    QIR_JOIN(group, joined_outside);
    t.joined_outside = joined_outside;
    for (channel = 0; channel < channels; channel += QIR_WIDTH) {
        const int32_t last = channels - QIR_WIDTH, from = channel <= last || last < 0 ? channel : last;
        qir_conv_u8_block at = {0, 0, 0, 0, 0, 0};
        uint8_t *to = y + from;
        t.bias = bias + channel;
        t.multiplier = multiplier + channel;
        QIR_SPREAD(&t, win, w + from, last < 0 ? QIR_WIDTH : channels, zeros);
        for (at.sample = 0; at.sample < win->batch; ++at.sample) {
            for (at.plane = 0; at.plane < win->out[0]; ++at.plane) {
                for (at.row = 0; at.row < win->out[1]; at.row += at.rows) {
                    at.rows = QIR_TAKEN > 1 && at.row + 1 < win->out[1] ? 2 : 1;
                    QIR_LINES(s, d, &t, x, &at, from, to);
                    to += (ptrdiff_t)at.rows * win->out[2] * channels;
                }
            }
        }
    }
}
