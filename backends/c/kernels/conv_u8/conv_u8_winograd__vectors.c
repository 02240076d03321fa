#include "../../runtime/qir_sum.h"
#include "conv_u8_blocks.h"

/* template: begin */
#include "conv_u8_winograd_words.h"
/* template: end */

/* Windows of three by three taps, one pixel apart, by Winograd's F(2x2, 3x3): of a tile of four by four codes d and a
   kernel g the four outputs are A' [(G g G') . (B' d B)] A, element by element over sixteen places instead of
   thirty-six products, with

       B' = 1  0 -1  0      G = 1    0   0      A' = 1  1  1  0
            0  1  1  0          1/2  1/2 1/2         0  1 -1 -1
            0 -1  1  0          1/2 -1/2 1/2
            0  1  0 -1          0    0   1

   The packed weights are 4 G g G', integers of at most 9 * 128; B' d B lies within 4 * 255: both fit int16, whose
   products are exact in int32. What comes out is four times the convolution; the binder checks that this fits
   int32, so sums may wrap around on the way. The place in the second row and column goes into all four outputs, once:
   its sums start from four times the bias. A factor of four changes no mantissa: results are those of the convolution
   where a quarter of the multiplier is given.

   Tiles go by blocks: their codes transformed to [place][tile][channel], then for each panel of sixteen output channels
   sixteen products of matrices to [place][tile][16], then back. */
typedef struct {
    int32_t tiles;   /* in this block */
    int32_t room;    /* tiles that a block has room for */
    int32_t steps;   /* of QIR_CODES input channels */
    int16_t *codes;  /* [place][room][input channel, steps filled up] */
    int32_t *sums;   /* [place][room][16] */
    const qir_sum *sum;   /* where results are sums with other codes */
    const uint8_t *other; /* these, from the panel's first channel on */
} qir_conv_u8s8_winograd_T_block;

/* A tile's sixteen pixels to the sixteen places, some channels at a time; the last ones may lap over. */
QIR_TARGET static void qir_conv_u8s8_winograd_T_in(const uint8_t *const pixel[16], int32_t channels, ptrdiff_t place,
                                                   int16_t *to) {
    int32_t channel, i, j;
    for (channel = 0; channel < channels; channel += QIR_AT_ONCE) {
        const int32_t from = channel + QIR_AT_ONCE <= channels ? channel : channels - QIR_AT_ONCE;
        QIR_TAKEN d[4][4];
        QIR_SHORTS t[4][4];
        for (i = 0; i < 4; ++i) {
            for (j = 0; j < 4; ++j) {
                d[i][j] = QIR_CODES_AT(pixel[4 * i + j] + from);
            }
        }
        for (j = 0; j < 4; ++j) {
            t[0][j] = QIR_CODES_MINUS(d[0][j], d[2][j]);
            t[1][j] = QIR_CODES_PLUS(d[1][j], d[2][j]);
            t[2][j] = QIR_CODES_MINUS(d[2][j], d[1][j]);
            t[3][j] = QIR_CODES_MINUS(d[1][j], d[3][j]);
        }
        for (i = 0; i < 4; ++i) {
            int16_t *const at = to + 4 * i * place + from;
            QIR_PUT(at, QIR_MINUS(t[i][0], t[i][2]));
            QIR_PUT(at + place, QIR_PLUS(t[i][1], t[i][2]));
            QIR_PUT(at + 2 * place, QIR_MINUS(t[i][2], t[i][1]));
            QIR_PUT(at + 3 * place, QIR_MINUS(t[i][1], t[i][3]));
        }
    }
}

/* All places of a panel; its weights: [place][step][...], see qir_winograd_tiles. */
static void qir_conv_u8s8_winograd_T_products(const qir_conv_u8s8_winograd_T_block *b, const int16_t *w,
                                              const int32_t *bias) {
    static const int32_t zeros[16] = {0};
    const ptrdiff_t depth = (ptrdiff_t)b->steps * QIR_CODES;
    const int32_t most = (int32_t)(sizeof QIR_PRODUCTS / sizeof *QIR_PRODUCTS);
    int32_t place, tile, count;
    for (place = 0; place < 16; ++place, w += depth * 16) {
        for (tile = 0; tile < b->tiles; tile += count) {
            const ptrdiff_t at = (ptrdiff_t)place * b->room + tile;
            count = qir_piece(b->tiles - tile, most);
            QIR_PRODUCTS[count - 1](b->steps, b->codes + at * depth, w, place == 5 ? bias : zeros, b->sums + at * 16);
        }
    }
}

/* A vector of channels of a tile: sums at sixteen places, `place` apart, to four outputs. */
QIR_TARGET static QIR_INLINE void qir_conv_u8s8_winograd_T_out(const int32_t *sums, ptrdiff_t place,
                                                               QIR_VECTOR out[4]) {
    QIR_VECTOR above[4], below[4];
    int32_t j;
    for (j = 0; j < 4; ++j) {
        const int32_t *const from = sums + j * place;
        const QIR_VECTOR m0 = QIR_LOAD(from), m1 = QIR_LOAD(from + 4 * place);
        const QIR_VECTOR m2 = QIR_LOAD(from + 8 * place), m3 = QIR_LOAD(from + 12 * place);
        above[j] = QIR_ADD(QIR_ADD(m0, m1), m2);
        below[j] = QIR_SUBTRACT(QIR_SUBTRACT(m1, m2), m3);
    }
    out[0] = QIR_ADD(QIR_ADD(above[0], above[1]), above[2]);
    out[1] = QIR_SUBTRACT(QIR_SUBTRACT(above[1], above[2]), above[3]);
    out[2] = QIR_ADD(QIR_ADD(below[0], below[1]), below[2]);
    out[3] = QIR_SUBTRACT(QIR_SUBTRACT(below[1], below[2]), below[3]);
}

/* The block's tiles, counted from `first` row by row, to results of one panel; tiles may reach beyond the output. */
QIR_TARGET static void qir_conv_u8s8_winograd_T_results(const qir_conv_u8_shape *s,
                                                        const qir_conv_u8s8_winograd_T_block *b, int32_t first,
                                                        int32_t channels, const float *multiplier, QIR_Y *y) {
    const int32_t high = s->window.out[1], across = s->window.out[2], in_row = (across + 1) / 2;
    const ptrdiff_t place = (ptrdiff_t)b->room * 16, step = s->out_channels;
    const QIR_REQUANT q = QIR_WIDEN_REQUANT(&s->requant);
    const int32_t whole = channels >= 16;
    int32_t row = first / in_row * 2, column = first % in_row * 2, tile, i;
    QIR_REALS scale[16 / QIR_WIDTH];
    #if QIR_SUMS
    const QIR_SUM_NUMBERS numbers = QIR_WIDEN_SUM(b->sum);
    #define QIR_REAL(sums, scale, other) QIR_SUM(QIR_SCALED(sums, scale), &numbers, other, b->sum->own_first)
    #else
    #define QIR_REAL(sums, scale, other) QIR_SCALED(sums, scale)
    #endif
    #define QIR_OUT(v) qir_conv_u8s8_winograd_T_out(b->sums + 16 * tile + QIR_WIDTH * v, place, out[v]);
    #define QIR_SCALE(v) scale[v] = QIR_LOAD_REALS(multiplier + QIR_WIDTH * v);
    #define QIR_REALS_OF(v)                                                    \
        real[0][v] = QIR_REAL(out[v][2 * i], scale[v], other + QIR_WIDTH * v); \
        real[1][v] = QIR_REAL(out[v][2 * i + 1], scale[v], other2 + QIR_WIDTH * v);
    QIR_VECTORS(QIR_SCALE)
    for (tile = 0; tile < b->tiles; ++tile) {
        const int32_t both = column + 1 < across;
        QIR_VECTOR out[16 / QIR_WIDTH][4];
        QIR_VECTORS(QIR_OUT)
        for (i = 0; i < 2 && row + i < high; ++i) {
            const ptrdiff_t left = ((ptrdiff_t)(row + i) * across + column) * step, right = left + step;
            QIR_REALS real[2][16 / QIR_WIDTH];
            QIR_Y part[32];
    #if QIR_SUMS
            const uint8_t *other = b->other + left, *other2 = both ? b->other + right : other;
            uint8_t beside[32];
            if (!whole) {
                memset(beside, 0, sizeof beside);
                memcpy(beside, other, (size_t)channels);
                memcpy(beside + 16, other2, (size_t)channels);
                other = beside;
                other2 = beside + 16;
            }
    #endif
            QIR_VECTORS(QIR_REALS_OF)
            QIR_BOTH(QIR_PAIR, real, q, whole ? y + left : part, whole && both ? y + right : part + 16);
            if (!whole) {
                memcpy(y + left, part, (size_t)channels * sizeof(QIR_Y));
            }
            if (!whole && both) {
                memcpy(y + right, part + 16, (size_t)channels * sizeof(QIR_Y));
            }
        }
        column += 2;
        if (column >= across) {
            column = 0;
            row += 2;
        }
    }
    #undef QIR_REAL
    #undef QIR_OUT
    #undef QIR_SCALE
    #undef QIR_REALS_OF
}

/* At least sixteen input channels. Weights: [panel of 16 channels][place][step][...], see qir_winograd_tiles; four
   times the bias, with -x_zero_point * sum of w, and a quarter of the multiplier: [panel][16]. sum, other: as in
   conv_u8__x86.c. scratch: codes and sums of a block of `room` tiles, and a pixel of the zero point for what lies
   outside the input. */
void qir_conv_u8s8_winograd_T__vectors(const qir_conv_u8_shape *s, int32_t room, const uint8_t *QIR_RESTRICT x,
                                       const int16_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                       const float *QIR_RESTRICT multiplier, QIR_SUMMED void *QIR_RESTRICT scratch,
                                       QIR_Y *y) {
    const qir_window *const win = &s->window;
    const int32_t channels = s->in_channels, in_row = (win->out[2] + 1) / 2, all = in_row * ((win->out[1] + 1) / 2);
    const uint8_t *pixel[16];
    uint8_t *outside;
    qir_conv_u8s8_winograd_T_block b;
    int32_t sample, first, tile, i, j, channel;
    b.room = room;
    b.steps = (channels + QIR_CODES - 1) / QIR_CODES;
    b.sums = (int32_t *)scratch;
    b.codes = (int16_t *)(void *)(b.sums + (ptrdiff_t)16 * 16 * room);
    outside = (uint8_t *)(b.codes + (ptrdiff_t)16 * room * b.steps * QIR_CODES);
    memset(outside, s->x_zero_point, (size_t)channels);
    for (sample = 0; sample < win->batch; ++sample) {
        for (first = 0; first < all; first += room) {
            int32_t row = first / in_row * 2 - win->pad[1], column = first % in_row * 2 - win->pad[2];
            b.tiles = all - first < room ? all - first : room;
            for (tile = 0; tile < b.tiles; ++tile) {
                for (i = 0; i < 4; ++i) {
                    const ptrdiff_t line = ((ptrdiff_t)(row + i) * win->in[2] + column) * channels;
                    const int32_t above = (uint32_t)(row + i) < (uint32_t)win->in[1];
                    for (j = 0; j < 4; ++j) {
                        const int32_t inside = above && (uint32_t)(column + j) < (uint32_t)win->in[2];
                        pixel[4 * i + j] = inside ? x + line + j * channels : outside;
                    }
                }
                qir_conv_u8s8_winograd_T_in(pixel, channels, (ptrdiff_t)room * b.steps * QIR_CODES,
                                            b.codes + (ptrdiff_t)tile * b.steps * QIR_CODES);
                column += 2;
                if (column + win->pad[2] >= win->out[2]) {
                    column = -win->pad[2];
                    row += 2;
                }
            }
            for (channel = 0; channel < s->out_channels; channel += 16) {
                qir_conv_u8s8_winograd_T_products(&b, w + (ptrdiff_t)channel * 16 * b.steps * QIR_CODES,
                                                  bias + channel);
    #if QIR_SUMS
                b.sum = sum;
                b.other = other + channel;
    #endif
                qir_conv_u8s8_winograd_T_results(s, &b, first, s->out_channels - channel,
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
