#include "../../runtime/qir_avx2.h"
#include "../../runtime/qir_sum.h"
#include "conv_u8_blocks.h"

/* template: begin */
#include "../../runtime/qir_x86_words.h"
/* template: end */

/* Windows of three by three taps, one pixel apart, by Winograd's F(2x2, 3x3): of a tile of four by four codes d and a
   kernel g the four outputs are A' [(G g G') . (B' d B)] A, element by element over sixteen places instead of
   thirty-six products, with

       B' = 1  0 -1  0      G = 1    0   0      A' = 1  1  1  0
            0  1  1  0          1/2  1/2 1/2         0  1 -1 -1
            0 -1  1  0          1/2 -1/2 1/2
            0  1  0 -1          0    0   1

   The packed weights are 4 G g G', integers of at most 9 * 128; B' d B lies within 4 * 255: both fit int16, so
   vpmaddwd multiplies them exactly. What comes out is four times the convolution; the binder checks that this fits
   int32, so sums may wrap around on the way. The place in the second row and column goes into all four outputs, once:
   its sums start from four times the bias. A factor of four changes no mantissa: results are those of the convolution
   where a quarter of the multiplier is given.

   Tiles go by blocks: their codes transformed to [place][tile][channel], then for each panel of sixteen output channels
   sixteen products of matrices to [place][tile][16], then back. */
typedef struct {
    int32_t tiles;   /* in this block */
    int32_t room;    /* tiles that a block has room for */
    int32_t steps;   /* pairs of input channels */
    int16_t *codes;  /* [place][room][2 steps] */
    int32_t *sums;   /* [place][room][16] */
    const qir_sum *sum;   /* where results are sums with other codes */
    const uint8_t *other; /* these, from the panel's first channel on */
} qir_conv_u8s8_winograd_T_avx2_block;

/* A tile's sixteen pixels to the sixteen places, sixteen channels at a time; the last ones may lap over. */
QIR_AVX2 static void qir_conv_u8s8_winograd_T_avx2_in(const uint8_t *const pixel[16], int32_t channels,
                                                      ptrdiff_t place, int16_t *to) {
    int32_t channel, i, j;
    for (channel = 0; channel < channels; channel += 16) {
        const int32_t from = channel + 16 <= channels ? channel : channels - 16;
        __m256i d[4][4], t[4][4];
        for (i = 0; i < 4; ++i) {
            for (j = 0; j < 4; ++j) {
                const __m128i codes = _mm_loadu_si128((const __m128i *)(const void *)(pixel[4 * i + j] + from));
                d[i][j] = _mm256_cvtepu8_epi16(codes);
            }
        }
        for (j = 0; j < 4; ++j) {
            t[0][j] = _mm256_sub_epi16(d[0][j], d[2][j]);
            t[1][j] = _mm256_add_epi16(d[1][j], d[2][j]);
            t[2][j] = _mm256_sub_epi16(d[2][j], d[1][j]);
            t[3][j] = _mm256_sub_epi16(d[1][j], d[3][j]);
        }
        for (i = 0; i < 4; ++i) {
            int16_t *const at = to + 4 * i * place + from;
            _mm256_storeu_si256((__m256i *)(void *)at, _mm256_sub_epi16(t[i][0], t[i][2]));
            _mm256_storeu_si256((__m256i *)(void *)(at + place), _mm256_add_epi16(t[i][1], t[i][2]));
            _mm256_storeu_si256((__m256i *)(void *)(at + 2 * place), _mm256_sub_epi16(t[i][2], t[i][1]));
            _mm256_storeu_si256((__m256i *)(void *)(at + 3 * place), _mm256_sub_epi16(t[i][1], t[i][3]));
        }
    }
}

/* One to six tiles by sixteen output channels, at one place. */
#define QIR_BEGIN(i) __m256i a##i = first, b##i = second;
#define QIR_STEP(i)                                                               \
    codes = _mm256_set1_epi32(qir_four_bytes((i < 3 ? x : x3) + i % 3 * stride)); \
    QIR_DOT2(a##i, codes, w0);                                                    \
    QIR_DOT2(b##i, codes, w1);
#define QIR_END(i)                                                                \
    _mm256_storeu_si256((__m256i *)(void *)(y + 16 * i), a##i);                   \
    _mm256_storeu_si256((__m256i *)(void *)(y + 16 * i + 8), b##i);
#define QIR_TILE(n)                                                                                         \
    QIR_AVX2 QIR_ALONE static void qir_conv_u8s8_winograd_T_avx2_##n(int32_t steps, const int16_t *x,       \
                                                                     const int16_t *w, const int32_t *start, \
                                                                     int32_t *y) {                          \
        const __m256i first = qir_avx2_vector(start), second = qir_avx2_vector(start + 8);                  \
        const ptrdiff_t stride = (ptrdiff_t)steps * 2;                                                      \
        const int16_t *x3 = x + 3 * stride;                                                                 \
        QIR_EACH_##n(QIR_BEGIN) do {                                                                        \
            const __m256i w0 = _mm256_loadu_si256((const __m256i *)(const void *)w);                        \
            const __m256i w1 = _mm256_loadu_si256((const __m256i *)(const void *)(w + 16));                 \
            __m256i codes;                                                                                  \
            QIR_EACH_##n(QIR_STEP) x += 2, x3 += 2, w += 32;                                                \
        } while (--steps);                                                                                  \
        (void)x3;                                                                                           \
        QIR_EACH_##n(QIR_END)                                                                               \
    }
QIR_TILE(1) QIR_TILE(2) QIR_TILE(3) QIR_TILE(4) QIR_TILE(5) QIR_TILE(6)
#undef QIR_BEGIN
#undef QIR_STEP
#undef QIR_END
#undef QIR_TILE

/* All places of a panel; its weights: [place][pair of channels][16][2]. */
static void qir_conv_u8s8_winograd_T_avx2_products(const qir_conv_u8s8_winograd_T_avx2_block *b, const int16_t *w,
                                                   const int32_t *bias) {
    static const int32_t zeros[16] = {0};
    const ptrdiff_t depth = (ptrdiff_t)b->steps * 2;
    int32_t place, tile, count;
    for (place = 0; place < 16; ++place, w += depth * 16) {
        const int32_t *const start = place == 5 ? bias : zeros;
        for (tile = 0; tile < b->tiles; tile += count) {
            const ptrdiff_t at = (ptrdiff_t)place * b->room + tile;
            const int16_t *const x = b->codes + at * depth;
            int32_t *const y = b->sums + at * 16;
            count = qir_piece(b->tiles - tile, 6);
            switch (count) {
                case 1: qir_conv_u8s8_winograd_T_avx2_1(b->steps, x, w, start, y); break;
                case 2: qir_conv_u8s8_winograd_T_avx2_2(b->steps, x, w, start, y); break;
                case 3: qir_conv_u8s8_winograd_T_avx2_3(b->steps, x, w, start, y); break;
                case 4: qir_conv_u8s8_winograd_T_avx2_4(b->steps, x, w, start, y); break;
                case 5: qir_conv_u8s8_winograd_T_avx2_5(b->steps, x, w, start, y); break;
                default: qir_conv_u8s8_winograd_T_avx2_6(b->steps, x, w, start, y); break;
            }
        }
    }
}

/* Eight channels of a tile: sums at sixteen places, `place` apart, to four outputs. */
QIR_AVX2 static QIR_INLINE void qir_conv_u8s8_winograd_T_avx2_out(const int32_t *sums, ptrdiff_t place,
                                                                  __m256i out[4]) {
    __m256i above[4], below[4];
    int32_t j;
    for (j = 0; j < 4; ++j) {
        const int32_t *const from = sums + j * place;
        const __m256i m0 = _mm256_loadu_si256((const __m256i *)(const void *)from);
        const __m256i m1 = _mm256_loadu_si256((const __m256i *)(const void *)(from + 4 * place));
        const __m256i m2 = _mm256_loadu_si256((const __m256i *)(const void *)(from + 8 * place));
        const __m256i m3 = _mm256_loadu_si256((const __m256i *)(const void *)(from + 12 * place));
        above[j] = _mm256_add_epi32(_mm256_add_epi32(m0, m1), m2);
        below[j] = _mm256_sub_epi32(_mm256_sub_epi32(m1, m2), m3);
    }
    out[0] = _mm256_add_epi32(_mm256_add_epi32(above[0], above[1]), above[2]);
    out[1] = _mm256_sub_epi32(_mm256_sub_epi32(above[1], above[2]), above[3]);
    out[2] = _mm256_add_epi32(_mm256_add_epi32(below[0], below[1]), below[2]);
    out[3] = _mm256_sub_epi32(_mm256_sub_epi32(below[1], below[2]), below[3]);
}

/* The block's tiles, counted from `first` row by row, to results of one panel; tiles may reach beyond the output. */
QIR_AVX2 static void qir_conv_u8s8_winograd_T_avx2_results(const qir_conv_u8_shape *s,
                                                           const qir_conv_u8s8_winograd_T_avx2_block *b,
                                                           int32_t first, int32_t channels, const float *multiplier,
                                                           QIR_Y *y) {
    const int32_t high = s->window.out[1], across = s->window.out[2], in_row = (across + 1) / 2;
    const ptrdiff_t place = (ptrdiff_t)b->room * 16, step = s->out_channels;
    const qir_requant8 q = qir_widen_requant8(&s->requant);
    const __m256 scale = _mm256_loadu_ps(multiplier), scale2 = _mm256_loadu_ps(multiplier + 8);
    const int32_t whole = channels >= 16;
    int32_t row = first / in_row * 2, column = first % in_row * 2, tile, i;
    #if QIR_SUMS
    const QIR_SUM_NUMBERS numbers = QIR_WIDEN_SUM(b->sum);
    #define QIR_REAL(sums, scale, other) QIR_SUM(QIR_SCALED(sums, scale), &numbers, other, b->sum->own_first)
    #else
    #define QIR_REAL(sums, scale, other) QIR_SCALED(sums, scale)
    #endif
    for (tile = 0; tile < b->tiles; ++tile) {
        const int32_t both = column + 1 < across;
        __m256i low[4], upper[4];
        qir_conv_u8s8_winograd_T_avx2_out(b->sums + 16 * tile, place, low);
        qir_conv_u8s8_winograd_T_avx2_out(b->sums + 16 * tile + 8, place, upper);
        for (i = 0; i < 2 && row + i < high; ++i) {
            const ptrdiff_t left = ((ptrdiff_t)(row + i) * across + column) * step, right = left + step;
            QIR_Y part[32];
    #if QIR_SUMS
            const uint8_t *other = b->other + left, *other2 = both ? b->other + right : other;
            uint8_t beside[32];
            if (!whole) {
                memset(beside, 0, sizeof beside);
                QIR_PART(other, channels, beside);
                QIR_PART(other2, channels, beside + 16);
                other = beside;
                other2 = beside + 16;
            }
    #endif
            QIR_PAIR(QIR_REAL(low[2 * i], scale, other), QIR_REAL(upper[2 * i], scale2, other + 8),
                     QIR_REAL(low[2 * i + 1], scale, other2), QIR_REAL(upper[2 * i + 1], scale2, other2 + 8), q,
                     whole ? y + left : part, whole && both ? y + right : part + 16);
            if (!whole) {
                QIR_PART(part, channels, y + left);
            }
            if (!whole && both) {
                QIR_PART(part + 16, channels, y + right);
            }
        }
        column += 2;
        if (column >= across) {
            column = 0;
            row += 2;
        }
    }
    #undef QIR_REAL
}

/* At least sixteen input channels. Weights: [panel of 16 channels][place][pair of input channels][16][2]; four times
   the bias, with -x_zero_point * sum of w, and a quarter of the multiplier: [panel][16]. sum, other: as in conv_u8__x86.c. scratch: codes and sums of a
   block of `room` tiles, and a pixel of the zero point for what lies outside the input. */
void qir_conv_u8s8_winograd_T__avx2(const qir_conv_u8_shape *s, int32_t room, const uint8_t *QIR_RESTRICT x,
                                    const int16_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                    const float *QIR_RESTRICT multiplier, QIR_SUMMED void *QIR_RESTRICT scratch,
                                    QIR_Y *y) {
    const qir_window *const win = &s->window;
    const int32_t channels = s->in_channels, in_row = (win->out[2] + 1) / 2, all = in_row * ((win->out[1] + 1) / 2);
    const uint8_t *pixel[16];
    uint8_t *outside;
    qir_conv_u8s8_winograd_T_avx2_block b;
    int32_t sample, first, tile, i, j, channel;
    b.room = room;
    b.steps = (channels + 1) / 2;
    b.sums = (int32_t *)scratch;
    b.codes = (int16_t *)(void *)(b.sums + (ptrdiff_t)16 * 16 * room);
    outside = (uint8_t *)(b.codes + (ptrdiff_t)16 * room * b.steps * 2);
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
                qir_conv_u8s8_winograd_T_avx2_in(pixel, channels, (ptrdiff_t)room * b.steps * 2,
                                                 b.codes + (ptrdiff_t)tile * b.steps * 2);
                column += 2;
                if (column + win->pad[2] >= win->out[2]) {
                    column = -win->pad[2];
                    row += 2;
                }
            }
            for (channel = 0; channel < s->out_channels; channel += 16) {
                qir_conv_u8s8_winograd_T_avx2_products(&b, w + (ptrdiff_t)channel * 16 * b.steps * 2,
                                                       bias + channel);
    #if QIR_SUMS
                b.sum = sum;
                b.other = other + channel;
    #endif
                qir_conv_u8s8_winograd_T_avx2_results(s, &b, first, s->out_channels - channel,
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
