#include "../../runtime/qir_sum.h"
#include "../../runtime/qir_woven.h"
#include "conv_u8_blocks.h"

/* template: begin */
#include "conv_u8_winograd_words.h"
/* template: end */

/* Windows of three by three taps, QIR_BY pixels apart, by Winograd's F(m x m, 3x3), m = QIR_SIDE: of a tile of n by n
   codes d, n = (m - 1) QIR_BY + 3, and a kernel g the m by m outputs are A' [(G g G') . (B' d B)] A, element by element
   over n^2 places instead of 9 m^2 products: 16 or, two pixels apart, 25 instead of 36, or 36 instead of 144. Fractions
   of G are cleared:

       m = 2:  B' = 1  0 -1  0    2 G = 2  0  0    A' = 1  1  1  0
                    0  1  1  0          1  1  1         0  1 -1 -1
                    0 -1  1  0          1 -1  1
                    0  1  0 -1          0  0  2

       m = 4:  B' = 4  0 -5  0  1  0    24 G = 6  0  0    A' = 1  1  1  1  1  0
                    0 -4 -4  1  1  0          -4 -4 -4         0  1 -1  2 -2  0
                    0  4 -4 -1  1  0          -4  4 -4         0  1  1  4  4  0
                    0 -2 -1  2  1  0           1  2  4         0  1 -1  8 -8  2
                    0  2 -1 -2  1  0           1 -2  4
                    0  4  0 -5  0  1           0  0 12

   Two pixels apart even codes and taps 0 and 2 are F(2, 2), odd codes go by tap 1:

       m = 2:  B' = 1  0 -1  0  0      G = 1  0  0    A' = 1  1  0  1  0
                    0  0  1  0  0          1  0  1         0  1  1  0  1
                    0  0 -1  0  1          0  0  1
                    0  1  0  0  0          0  1  0
                    0  0  0  1  0          0  1  0

   The packed weights, at most 9 * 128 or 144 * 128, fit int16, as does B' d B: of codes, which are not negative, it is
   at most 4 * 255, or (8 * 8 + 2 * 2) * 255 in the second place of the second row. So products are exact in int32.
   What comes out is 4 or 576 times the convolution, two pixels apart the convolution itself, modulo 2^32, as sums may
   wrap around on the way. Of 576 the factor 9 is odd, so it has an inverse modulo 2^32 and is taken out by a
   multiplication; the binder checks that what is left, 1, 4 or 64 times the convolution, fits int32. Powers of two change
   no mantissa: results are those of the convolution where as small a part of the multiplier is given, and as many times
   the bias.

   Crossed products (runtime/qir_woven.h) add weights to codes. Those fit int16 together, where m = 4 takes codes less 128:
   then B' d B is at most (4 + 5 + 1)^2 * 128. Of what all codes have in common only the second place of the second row
   keeps anything, 6 * 6 times as much: that is where the 128 are taken off.

   Tiles go by blocks: their codes transformed to [place][tile][channel], woven where products are crossed, then for each
   panel of sixteen output channels n^2 products of matrices to [place][tile][16], then back. */
typedef struct {
    int32_t tiles;   /* in this block */
    int32_t room;    /* tiles that a block has room for; where they are woven, also for what fills them up */
    int32_t steps;   /* of QIR_CODES input channels */
    int16_t *codes;  /* [place][room][input channel, steps filled up] */
    int32_t *sums;   /* [place][room][16] */
    #if QIR_CROSSED
    qir_heights cut;  /* of tiles into woven ones */
    int32_t *offsets; /* [place][room] */
    int32_t channels; /* of the output, that are left from the panel's first one on */
    #endif
    const qir_sum *sum;   /* where results are sums with other codes */
    const uint8_t *other; /* these, from the panel's first channel on */
} qir_conv_u8s8_winograd_T_block;

/* t = B' d. */
QIR_TARGET static QIR_INLINE void qir_conv_u8s8_winograd_T_along(const QIR_SHORTS d[QIR_WINDOW],
                                                                 QIR_SHORTS t[QIR_WINDOW]) {
    #if QIR_BY == 2
    t[0] = QIR_MINUS(d[0], d[2]);
    t[1] = d[2];
    t[2] = QIR_MINUS(d[4], d[2]);
    t[3] = d[1];
    t[4] = d[3];
    #elif QIR_SIDE == 2
    t[0] = QIR_MINUS(d[0], d[2]);
    t[1] = QIR_PLUS(d[1], d[2]);
    t[2] = QIR_MINUS(d[2], d[1]);
    t[3] = QIR_MINUS(d[1], d[3]);
    #else
    const QIR_SHORTS even = QIR_MINUS(d[4], d[2]), half = QIR_MINUS(d[3], d[1]), odd = QIR_PLUS(half, half);
    const QIR_SHORTS even4 = QIR_MINUS(d[4], QIR_SHORTS_4(d[2])), odd4 = QIR_MINUS(d[3], QIR_SHORTS_4(d[1]));
    t[0] = QIR_PLUS(QIR_SHORTS_4(QIR_MINUS(d[0], d[2])), even);
    t[1] = QIR_PLUS(even4, odd4);
    t[2] = QIR_MINUS(even4, odd4);
    t[3] = QIR_PLUS(even, odd);
    t[4] = QIR_MINUS(even, odd);
    t[5] = QIR_MINUS(QIR_MINUS(d[5], d[3]), QIR_PLUS(odd, odd));
    #endif
}

/* A tile's pixels to its places, some channels at a time; the last ones may lap over. With crossed products sums are those
   of each place, and channels go by eights, `rows` times as far apart as in the image. */
QIR_TARGET static void qir_conv_u8s8_winograd_T_in(const uint8_t *const pixel[QIR_WINDOW * QIR_WINDOW],
                                                   int32_t channels, ptrdiff_t place,
    #if QIR_CROSSED
                                                   int32_t rows, QIR_VECTOR *sums,
    #endif
                                                   int16_t *to) {
    int32_t channel, i, j;
    for (channel = 0; channel < channels; channel += QIR_AT_ONCE) {
        const int32_t from = channel + QIR_AT_ONCE <= channels ? channel : channels - QIR_AT_ONCE;
        QIR_SHORTS columns[QIR_WINDOW][QIR_WINDOW], d[QIR_WINDOW], t[QIR_WINDOW];
        for (j = 0; j < QIR_WINDOW; ++j) {
            for (i = 0; i < QIR_WINDOW; ++i) {
                d[i] = QIR_CODES_AT(pixel[QIR_WINDOW * i + j] + from);
            }
            qir_conv_u8s8_winograd_T_along(d, t);
            for (i = 0; i < QIR_WINDOW; ++i) {
                columns[i][j] = t[i];
            }
        }
        for (i = 0; i < QIR_WINDOW; ++i) {
            qir_conv_u8s8_winograd_T_along(columns[i], t);
    #if QIR_CROSSED
            if (i == 1 && QIR_SIDE == 4) {
                t[1] = QIR_MINUS(t[1], QIR_ALL(6 * 6 * 128));
            }
            for (j = 0; j < QIR_WINDOW; ++j) {
                const int32_t at = QIR_WINDOW * i + j;
                QIR_PUT(to + at * place + from * rows, rows, t[j]);
                sums[at] = QIR_CROSS(t[j], sums[at]);
            }
    #else
            for (j = 0; j < QIR_WINDOW; ++j) {
                QIR_PUT(to + (QIR_WINDOW * i + j) * place + from, t[j]);
            }
    #endif
        }
    }
}

#if QIR_CROSSED
/* All places of a panel; its weights: [place][...], see qir_winograd_crossed_place. `after`: those that come next. */
static void qir_conv_u8s8_winograd_T_products(const qir_conv_u8s8_winograd_T_block *b, const int16_t *w,
                                              const int16_t *after) {
    const int32_t depth = b->steps * QIR_CODES, last = QIR_WINDOW * QIR_WINDOW - 1;
    int32_t place;
    for (place = 0; place <= last; ++place) {
        const ptrdiff_t tile = (ptrdiff_t)place * b->room;
        const int16_t *const own = w;
        w += 32 + (ptrdiff_t)depth * 16;
        QIR_PLACE(&b->cut, depth, b->codes + tile * depth, b->offsets + tile, own,
                  (const char *)(place < last ? w : after), b->channels, b->sums + 16 * tile);
    }
}
#else
/* All places of a panel; its weights: [place][step][...], see qir_winograd_tiles. `after`: those that come next. */
static void qir_conv_u8s8_winograd_T_products(const qir_conv_u8s8_winograd_T_block *b, const int16_t *w,
                                              const int16_t *after) {
    const ptrdiff_t depth = (ptrdiff_t)b->steps * QIR_CODES;
    const int32_t most = (int32_t)(sizeof QIR_PRODUCTS / sizeof *QIR_PRODUCTS), last = QIR_WINDOW * QIR_WINDOW - 1;
    const int32_t pieces = (b->tiles + most - 1) / most, least = b->tiles / pieces, longer = b->tiles % pieces;
    const int32_t apart = QIR_CODES * 16 * (int32_t)sizeof *w / pieces;
    int32_t place, piece;
    for (place = 0; place <= last; ++place, w += depth * 16) {
        const int16_t *x = b->codes + (ptrdiff_t)place * b->room * depth;
        const char *next = (const char *)(place < last ? w + depth * 16 : after);
        int32_t *y = b->sums + (ptrdiff_t)place * b->room * 16;
        for (piece = 0; piece < pieces; ++piece) {
            const int32_t count = piece < longer ? least + 1 : least;
            QIR_PRODUCTS[count - 1](b->steps, x, w, next, apart, y);
            x += count * depth;
            y += count * 16;
            next += b->steps * apart;
        }
    }
}
#endif

/* y = A' m. */
QIR_TARGET static QIR_INLINE void qir_conv_u8s8_winograd_T_back(const QIR_VECTOR m[QIR_WINDOW],
                                                                QIR_VECTOR y[QIR_SIDE]) {
    #if QIR_BY == 2
    y[0] = QIR_ADD(QIR_ADD(m[0], m[1]), m[3]);
    y[1] = QIR_ADD(QIR_ADD(m[1], m[2]), m[4]);
    #elif QIR_SIDE == 2
    y[0] = QIR_ADD(QIR_ADD(m[0], m[1]), m[2]);
    y[1] = QIR_SUBTRACT(QIR_SUBTRACT(m[1], m[2]), m[3]);
    #else
    const QIR_VECTOR even = QIR_ADD(m[1], m[2]), even4 = QIR_ADD(m[3], m[4]);
    const QIR_VECTOR odd = QIR_SUBTRACT(m[1], m[2]), half = QIR_SUBTRACT(m[3], m[4]), odd2 = QIR_ADD(half, half);
    y[0] = QIR_ADD(QIR_ADD(m[0], even), even4);
    y[1] = QIR_ADD(odd, odd2);
    y[2] = QIR_ADD(even, QIR_VECTOR_4(even4));
    y[3] = QIR_ADD(QIR_ADD(odd, QIR_VECTOR_4(odd2)), QIR_ADD(m[5], m[5]));
    #endif
}

/* A vector of channels of a tile: sums at all places, `place` apart, to outputs. */
QIR_TARGET static QIR_INLINE void qir_conv_u8s8_winograd_T_out(const int32_t *sums, ptrdiff_t place, QIR_VECTOR bias,
                                                               QIR_VECTOR out[QIR_SIDE * QIR_SIDE]) {
    QIR_VECTOR rows[QIR_SIDE][QIR_WINDOW], m[QIR_WINDOW], y[QIR_SIDE];
    int32_t i, j;
    QIR_TURNS
    for (j = 0; j < QIR_WINDOW; ++j) {
        for (i = 0; i < QIR_WINDOW; ++i) {
            m[i] = QIR_LOAD(sums + (QIR_WINDOW * i + j) * place);
        }
        qir_conv_u8s8_winograd_T_back(m, y);
        for (i = 0; i < QIR_SIDE; ++i) {
            rows[i][j] = y[i];
        }
    }
    QIR_TURNS
    for (i = 0; i < QIR_SIDE; ++i) {
        qir_conv_u8s8_winograd_T_back(rows[i], y);
        for (j = 0; j < QIR_SIDE; ++j) {
    #if QIR_SIDE == 4
            y[j] = QIR_NINTH(y[j]);
    #endif
            out[QIR_SIDE * i + j] = QIR_ADD(y[j], bias);
        }
    }
}

/* The block's tiles, counted from `first` row by row, to results of one panel; tiles may reach beyond the output. Where
   channels fill no panel a tile's results are written apart first. */
QIR_TARGET static void qir_conv_u8s8_winograd_T_results(const qir_conv_u8_shape *s,
                                                        const qir_conv_u8s8_winograd_T_block *b, int32_t first,
                                                        int32_t channels, const int32_t *bias, const float *multiplier,
                                                        QIR_Y *y) {
    const int32_t high = s->window.out[1], across = s->window.out[2], in_row = (across + QIR_SIDE - 1) / QIR_SIDE;
    const QIR_REQUANT q = QIR_WIDEN_REQUANT(&s->requant);
    const int32_t whole = channels >= 16, bytes = (int32_t)sizeof(QIR_Y);
    const ptrdiff_t pitch = (ptrdiff_t)b->room * 16, step = s->out_channels;
    const ptrdiff_t right = whole ? step : 16, down = right * (whole ? across : QIR_SIDE);
    int32_t row = first / in_row * QIR_SIDE, column = first % in_row * QIR_SIDE, tile, i, j;
    QIR_REALS scale[16 / QIR_WIDTH];
    #if QIR_SUMS
    const QIR_SUM_NUMBERS numbers = QIR_WIDEN_SUM(b->sum);
    #define QIR_REAL(sums, scale, other) QIR_SUM(QIR_SCALED(sums, scale), &numbers, other, QIR_OWN_FIRST)
    #else
    #define QIR_REAL(sums, scale, other) QIR_SCALED(sums, scale)
    #endif
    #define QIR_OUT(v) \
        qir_conv_u8s8_winograd_T_out(sums + QIR_WIDTH * v, pitch, QIR_LOAD(bias + QIR_WIDTH * v), out[v]);
    #define QIR_SCALE(v) scale[v] = QIR_LOAD_REALS(multiplier + QIR_WIDTH * v);
    #define QIR_REALS_OF(v)                                                                       \
        real[0][v] = QIR_REAL(out[v][QIR_SIDE * i + j], scale[v], other + place + QIR_WIDTH * v); \
        real[1][v] = QIR_REAL(out[v][QIR_SIDE * i + j + 1], scale[v], other + beside + QIR_WIDTH * v);
    QIR_VECTORS(QIR_SCALE)
    for (tile = 0; tile < b->tiles; ++tile) {
        const int32_t *const sums = b->sums + 16 * tile;
        const int32_t rows = high - row < QIR_SIDE ? high - row : QIR_SIDE;
        const int32_t columns = across - column < QIR_SIDE ? across - column : QIR_SIDE;
        const ptrdiff_t start = ((ptrdiff_t)row * across + column) * step;
        QIR_VECTOR out[16 / QIR_WIDTH][QIR_SIDE * QIR_SIDE];
        QIR_Y part[16 * QIR_SIDE * QIR_SIDE], nothing[16], *const to = whole ? y + start : part;
    #if QIR_SUMS
        uint8_t others[16 * QIR_SIDE * QIR_SIDE];
        const uint8_t *const other = whole ? b->other + start : others;
        if (!whole) {
            memset(others, 0, sizeof others);
            qir_winograd_move(b->other + start, step, across, rows, columns, channels, others, right, QIR_SIDE);
        }
    #endif
        QIR_VECTORS(QIR_OUT)
        for (i = 0; i < QIR_SIDE && i < rows; ++i) {
            for (j = 0; j < QIR_SIDE && j < columns; j += 2) {
                const int32_t both = j + 1 < columns;
                const ptrdiff_t place = i * down + j * right;
    #if QIR_SUMS
                const ptrdiff_t beside = both ? place + right : place;
    #endif
                QIR_REALS real[2][16 / QIR_WIDTH];
                QIR_VECTORS(QIR_REALS_OF)
                QIR_BOTH(QIR_PAIR, real, q, to + place, both ? to + place + right : nothing);
            }
        }
        if (!whole) {
            qir_winograd_move((const uint8_t *)part, right * bytes, QIR_SIDE, rows, columns, channels * bytes,
                              (uint8_t *)(y + start), step * bytes, across);
        }
        column += QIR_SIDE;
        if (column >= across) {
            column = 0;
            row += QIR_SIDE;
        }
    }
    #undef QIR_REAL
    #undef QIR_OUT
    #undef QIR_SCALE
    #undef QIR_REALS_OF
}

/* The pixels of a tile; outside: a pixel of what lies outside the input. */
static inline void qir_conv_u8s8_winograd_T_pixels(const qir_conv_u8_shape *s, const uint8_t *x, int32_t row, int32_t column,
                                                   const uint8_t *outside,
                                                   const uint8_t *pixel[QIR_WINDOW * QIR_WINDOW]) {
    const qir_window *const win = &s->window;
    int32_t i, j;
    for (i = 0; i < QIR_WINDOW; ++i) {
        const ptrdiff_t line = ((ptrdiff_t)(row + i) * win->in[2] + column) * s->in_channels;
        const int32_t above = (uint32_t)(row + i) < (uint32_t)win->in[1];
        for (j = 0; j < QIR_WINDOW; ++j) {
            const int32_t inside = above && (uint32_t)(column + j) < (uint32_t)win->in[2];
            pixel[QIR_WINDOW * i + j] = inside ? x + line + j * s->in_channels : outside;
        }
    }
}

/* The codes of a block's tiles, counted from `first` row by row. */
QIR_TARGET static void qir_conv_u8s8_winograd_T_codes(const qir_conv_u8_shape *s,
                                                      const qir_conv_u8s8_winograd_T_block *b, int32_t first,
                                                      const uint8_t *x, const uint8_t *outside) {
    const qir_window *const win = &s->window;
    const int32_t in_row = (win->out[2] + QIR_SIDE - 1) / QIR_SIDE;
    const ptrdiff_t depth = (ptrdiff_t)b->steps * QIR_CODES, place = b->room * depth;
    const int32_t right = QIR_SIDE * QIR_BY;
    int32_t row = first / in_row * right - win->pad[1], column = first % in_row * right - win->pad[2], tile;
    int16_t *to = b->codes;
    const uint8_t *pixel[QIR_WINDOW * QIR_WINDOW];
    #if QIR_CROSSED
    int32_t *offset = b->offsets;
    int32_t woven = 0, tiles = b->cut.high, rows = qir_woven_rows(tiles, 4), at = 0;
    #endif
    for (tile = 0; tile < b->tiles; ++tile) {
        qir_conv_u8s8_winograd_T_pixels(s, x, row, column, outside, pixel);
    #if QIR_CROSSED
        do { /* the last of those woven together fills them up */
            QIR_VECTOR sums[QIR_WINDOW * QIR_WINDOW + 3];
            memset(sums, 0, sizeof sums);
            qir_conv_u8s8_winograd_T_in(pixel, s->in_channels, place, rows, sums, to + 8 * at);
            QIR_OFFSETS(sums, QIR_WINDOW * QIR_WINDOW, b->room, offset + at);
        } while (++at >= tiles && at < rows);
        if (at >= tiles) {
            to += rows * depth;
            offset += tiles;
            at = 0;
            tiles = ++woven < b->cut.higher ? b->cut.high : b->cut.high - 1;
            rows = qir_woven_rows(tiles, 4);
        }
    #else
        qir_conv_u8s8_winograd_T_in(pixel, s->in_channels, place, to + tile * depth);
    #endif
        column += right;
        if (column + win->pad[2] >= win->out[2] * QIR_BY) {
            column = -win->pad[2];
            row += right;
        }
    }
}

/* At least sixteen input channels; where products are crossed they go by sixteens. Weights: [panel of 16
   channels][place][...], see qir_winograd_tiles and qir_winograd_crossed_place; 1, 4 or 64 times the bias, with -x_zero_point *
   sum of w, of codes as they are taken, and as small a part of the multiplier: [panel][16]. sum, other: as in
   conv_u8__x86.c. scratch: sums, offsets and codes of a block of `room` tiles, and a pixel of the zero point for what lies
   outside the input. */
void qir_conv_u8s8_winograd_T__vectors(const qir_conv_u8_shape *s, int32_t room, const uint8_t *QIR_RESTRICT x,
                                       const int16_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                       const float *QIR_RESTRICT multiplier, QIR_SUMMED void *QIR_RESTRICT scratch,
                                       QIR_Y *y) {
    enum { places = QIR_WINDOW * QIR_WINDOW };
    const qir_window *const win = &s->window;
    const int32_t channels = s->in_channels, in_row = (win->out[2] + QIR_SIDE - 1) / QIR_SIDE;
    const int32_t all = in_row * ((win->out[1] + QIR_SIDE - 1) / QIR_SIDE);
    ptrdiff_t panel;
    uint8_t *outside;
    qir_conv_u8s8_winograd_T_block b;
    int32_t sample, first, channel;
    b.room = room + 2 * QIR_CROSSED;
    b.steps = (channels + QIR_CODES - 1) / QIR_CODES;
    b.sums = (int32_t *)scratch;
    b.codes = (int16_t *)(void *)(b.sums + (ptrdiff_t)places * 16 * b.room);
    outside = (uint8_t *)(b.codes + (ptrdiff_t)places * b.room * b.steps * QIR_CODES);
    #if QIR_CROSSED
    b.offsets = (int32_t *)(void *)outside;
    outside = (uint8_t *)(b.offsets + (ptrdiff_t)places * b.room);
    #endif
    panel = places * (QIR_CROSSED * 32 + (ptrdiff_t)16 * b.steps * QIR_CODES);
    memset(outside, s->x_zero_point, (size_t)channels);
    for (sample = 0; sample < win->batch; ++sample) {
        for (first = 0; first < all; first += room) {
            b.tiles = all - first < room ? all - first : room;
    #if QIR_CROSSED
            b.cut = qir_cut_into_tiles(b.tiles, 4);
    #endif
            qir_conv_u8s8_winograd_T_codes(s, &b, first, x, outside);
            for (channel = 0; channel < s->out_channels; channel += 16) {
                const int16_t *const own = w + channel / 16 * panel;
    #if QIR_CROSSED
                b.channels = s->out_channels - channel;
    #endif
                qir_conv_u8s8_winograd_T_products(&b, own, channel + 16 < s->out_channels ? own + panel : w);
    #if QIR_SUMS
                b.sum = sum;
                b.other = other + channel;
    #endif
                qir_conv_u8s8_winograd_T_results(s, &b, first, s->out_channels - channel, bias + channel,
                                                 multiplier + channel, y + channel);
            }
        }
        x += (ptrdiff_t)win->in[1] * win->in[2] * channels;
        y += (ptrdiff_t)win->out[1] * win->out[2] * s->out_channels;
    #if QIR_SUMS
        other += (ptrdiff_t)win->out[1] * win->out[2] * s->out_channels;
    #endif
    }
}
