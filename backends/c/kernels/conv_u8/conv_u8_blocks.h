/* Convolution as products of panels of weights with lines of activations, for the kernels on vectors.

   The window of an output pixel is a number of *segments*: runs of bytes that lie together in x, one for each row of
   the kernel (or for each tap, where taps are dilated or channels are grouped). Neighbouring output pixels of a row
   have their segments `stride` elements apart. Output pixels go by blocks of a few rows and columns. Where a block
   needs taps outside the input, or elements of another type, or where reading a segment in whole steps would leave x, the
   block's input is copied first, with padding written out; else its segments point into x itself. */
#ifndef QIR_CONV_U8_BLOCKS_H
#define QIR_CONV_U8_BLOCKS_H

#include "../../runtime/qir_vector.h"
#include "conv_u8.h"

typedef struct {
    int32_t rows;       /* of output pixels in a block */
    int32_t columns;    /* of output pixels in a block */
    int32_t by_taps;    /* segments are single taps, not rows of taps */
    int32_t copied;     /* the input of a block is copied */
    int32_t segments;   /* of a window */
    int32_t steps;      /* of a segment, the last one filled up */
    int32_t apart[4];   /* pixels of y from sample to sample, plane to plane, row to row and column to column */
    int32_t again;      /* steps that are taken again, in the panel that has most */
    int32_t run;        /* steps whose sums fit 16 bits, for kernels that add there */
} qir_conv_u8_blocks;

/* A block in work: output pixels [row, row + rows) x [column, column + columns) of a plane of a sample. */
typedef struct {
    int32_t sample;
    int32_t plane;
    int32_t row;
    int32_t column;
    int32_t rows;
    int32_t columns;
} qir_conv_u8_block;

/* Input positions along an axis under `count` neighbouring outputs. */
static inline int32_t qir_conv_u8_extent(const qir_window *w, int32_t axis, int32_t count) {
    return (count - 1) * w->stride[axis] + (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

/* How codes are copied (`wide`): as they are, as int16 less their zero point, as int8 less 128, or eight by eight, each
   time beside the eight of the next output pixel. */
enum { QIR_CONV_U8_CODES = 0, QIR_CONV_U8_WORDS = 1, QIR_CONV_U8_SIGNED = 2, QIR_CONV_U8_PAIRS = 3 };

/* The last two only for ARM: other processors need no instructions for these. */
#if defined(__aarch64__) || defined(__arm__)
#define QIR_CONV_U8_IS(wide, kind) ((wide) == (kind))
#else
#define QIR_CONV_U8_IS(wide, kind) ((void)(wide), 0)
#endif

/* Sixteen codes, and as many of 16 bits: asked for -O2, gcc makes no vectors of a loop by itself. */
#if defined(__GNUC__)
typedef uint8_t qir_conv_u8_codes16 __attribute__((vector_size(16)));
typedef int16_t qir_conv_u8_words16 __attribute__((vector_size(32)));
#endif

/* `count` codes as int16 less `zero_point`; the last sixteen may lap over those before. */
QIR_LEAST static inline void qir_conv_u8_widen(const uint8_t *from, ptrdiff_t count, int32_t zero_point, int16_t *to) {
    ptrdiff_t i = 0;
#if defined(__GNUC__)
    for (; i < count && count >= 16; i += 16) {
        const ptrdiff_t at = i + 16 <= count ? i : count - 16;
        qir_conv_u8_codes16 codes;
        qir_conv_u8_words16 words;
        memcpy(&codes, from + at, sizeof codes);
        words = __builtin_convertvector(codes, qir_conv_u8_words16) - (int16_t)zero_point;
        memcpy(to + at, &words, sizeof words);
    }
#endif
    for (; i < count; ++i) {
        to[i] = (int16_t)(from[i] - zero_point);
    }
}

/* `count` codes as int8 less 128. */
QIR_LEAST static inline void qir_conv_u8_less_128(const uint8_t *from, ptrdiff_t count, uint8_t *to) {
    ptrdiff_t i = 0;
#if defined(__GNUC__) && defined(__aarch64__)
    const qir_conv_u8_codes16 zero = {0}, least = zero + 128;
    for (; count >= 64; count -= 64) {
        __asm__ volatile("ld1 {v0.16b-v3.16b}, [%0], #64\n\t"
                         "eor v0.16b, v0.16b, %2.16b\n\t"
                         "eor v1.16b, v1.16b, %2.16b\n\t"
                         "eor v2.16b, v2.16b, %2.16b\n\t"
                         "eor v3.16b, v3.16b, %2.16b\n\t"
                         "st1 {v0.16b-v3.16b}, [%1], #64"
                         : "+r"(from), "+r"(to)
                         : "w"(least)
                         : "v0", "v1", "v2", "v3", "memory");
    }
#endif
#if defined(__GNUC__)
    for (; i + 64 <= count; i += 64) {
        qir_conv_u8_codes16 a, b, c, d;
        memcpy(&a, from + i, 16);
        memcpy(&b, from + i + 16, 16);
        memcpy(&c, from + i + 32, 16);
        memcpy(&d, from + i + 48, 16);
        a ^= 128;
        b ^= 128;
        c ^= 128;
        d ^= 128;
        memcpy(to + i, &a, 16);
        memcpy(to + i + 16, &b, 16);
        memcpy(to + i + 32, &c, 16);
        memcpy(to + i + 48, &d, 16);
    }
    for (; i + 16 <= count; i += 16) {
        qir_conv_u8_codes16 a;
        memcpy(&a, from + i, 16);
        a ^= 128;
        memcpy(to + i, &a, 16);
    }
#endif
    for (; i < count; ++i) {
        to[i] = (uint8_t)(from[i] ^ 128);
    }
}

/* Copies `count` codes; fills where there are none. */
QIR_LEAST QIR_ALONE static uint8_t *qir_conv_u8_put(const uint8_t *from, ptrdiff_t count, int32_t fill, int32_t wide,
                                                    uint8_t *to) {
    if (QIR_CONV_U8_IS(wide, QIR_CONV_U8_SIGNED)) {
        if (from) {
            qir_conv_u8_less_128(from, count, to);
        } else {
            memset(to, fill ^ 128, (size_t)count);
        }
        return to + count;
    }
    if (wide == QIR_CONV_U8_WORDS) {
        if (from) {
            qir_conv_u8_widen(from, count, fill, (int16_t *)(void *)to);
        } else {
            memset(to, 0, (size_t)count * sizeof(int16_t));
        }
        return to + count * (ptrdiff_t)sizeof(int16_t);
    }
    if (from) {
        memcpy(to, from, (size_t)count);
    } else {
        memset(to, fill, (size_t)count);
    }
    return to + count;
}

/* One row of a block's input: `count` pixels from `column` of row `row`. */
QIR_LEAST QIR_ALONE static uint8_t *qir_conv_u8_line(const qir_conv_u8_shape *s, const uint8_t *x, int32_t sample,
                                                     int32_t plane, int32_t row, int32_t column, int32_t count,
                                                     int32_t fill, int32_t wide, uint8_t *to) {
    const qir_window *const win = &s->window;
    const ptrdiff_t channels = (ptrdiff_t)s->groups * s->in_channels;
    const int inside = plane >= 0 && plane < win->in[0] && row >= 0 && row < win->in[1];
    int32_t before = column < 0 ? -column : 0, after = column + count > win->in[2] ? column + count - win->in[2] : 0;
    const uint8_t *from = x;
    if (!inside || before >= count || after >= count) {
        return qir_conv_u8_put(0, count * channels, fill, wide, to);
    }
    from += ((((ptrdiff_t)sample * win->in[0] + plane) * win->in[1] + row) * win->in[2] + column + before) * channels;
    to = before ? qir_conv_u8_put(0, before * channels, fill, wide, to) : to;
    to = qir_conv_u8_put(from, (count - before - after) * channels, fill, wide, to);
    return after ? qir_conv_u8_put(0, after * channels, fill, wide, to) : to;
}

/* Where in x a row of a block's input lies, `count` pixels and `more` bytes; null where some of it is outside. */
QIR_LEAST static inline const uint8_t *qir_conv_u8_there(const qir_conv_u8_shape *s, const uint8_t *x, int32_t sample,
                                                         int32_t plane, int32_t row, int32_t column, int32_t count,
                                                         ptrdiff_t more) {
    const qir_window *const win = &s->window;
    const ptrdiff_t channels = (ptrdiff_t)s->groups * s->in_channels;
    const ptrdiff_t pixels = (ptrdiff_t)win->batch * win->in[0] * win->in[1] * win->in[2];
    const ptrdiff_t pixel = (((ptrdiff_t)sample * win->in[0] + plane) * win->in[1] + row) * win->in[2] + column;
    const int inside = plane >= 0 && plane < win->in[0] && row >= 0 && row < win->in[1];
    if (!inside || column < 0 || column + count > win->in[2] || more > (pixels - pixel - count) * channels) {
        return 0;
    }
    return x + pixel * channels;
}

/* A row of a block's input, `across` pixels, in pairs. Windows of one column begin at every other output pixel only, and
   the last one may be alone; else a row's last pairs are with what is behind it. */
QIR_LEAST QIR_APART QIR_UNUSED static void qir_conv_u8_pair(const qir_conv_u8_shape *s, const uint8_t *line,
                                                            int32_t across, uint8_t *to) {
    const ptrdiff_t channels = (ptrdiff_t)s->groups * s->in_channels, next = s->window.stride[2] * channels;
    const int single = s->window.kernel[2] == 1;
    const ptrdiff_t all = across * channels, run = single ? channels : all;
    ptrdiff_t start, i;
    for (start = 0; start < all; start += run == all ? all : 2 * next) {
        const uint8_t *from = line + start, *beside = single && start + next >= all ? from : from + next;
        uint8_t *pair = to + 2 * start;
        i = run;
#if defined(__GNUC__) && defined(__aarch64__)
        for (; i >= 32; i -= 32) {
            __asm__ volatile("ldp q0, q2, [%0], #32\n\t"
                             "ldp q1, q3, [%1], #32\n\t"
                             "st2 {v0.2d, v1.2d}, [%2], #32\n\t"
                             "st2 {v2.2d, v3.2d}, [%2], #32"
                             : "+r"(from), "+r"(beside), "+r"(pair)
                             :
                             : "v0", "v1", "v2", "v3", "memory");
        }
#endif
        for (; i; i -= 8, from += 8, beside += 8, pair += 16) {
            memcpy(pair, from, 8);
            memcpy(pair + 8, beside, 8);
        }
    }
}

/* Rows of an odd number of output pixels have one left, which goes together with that of the next row: pixels under it
   that a line of a block's input has once more at its end, in pairs with those of the next row's. */
QIR_LEAST static inline int32_t qir_conv_u8_once_more(const qir_conv_u8_shape *s, const qir_conv_u8_block *at,
                                                      int32_t wide) {
    const int32_t some = QIR_CONV_U8_IS(wide, QIR_CONV_U8_PAIRS) && at->columns % 2 && at->rows > 1;
    return some ? qir_conv_u8_extent(&s->window, 2, 1) : 0;
}

/* Writes them, `bytes` of each of some lines, which are `pitch` bytes apart; the pixels lie in pairs from `first` on. */
QIR_LEAST QIR_ALONE static void qir_conv_u8_pair_rows(const qir_conv_u8_shape *s, uint8_t *line, int32_t lines,
                                                      ptrdiff_t pitch, ptrdiff_t first, ptrdiff_t bytes) {
    for (; lines > s->window.stride[1]; --lines, line += pitch) {
        const uint8_t *const from = line + first, *const below = from + s->window.stride[1] * pitch;
        uint8_t *const pair = line + pitch - bytes;
        ptrdiff_t i;
        for (i = 0; i < bytes; i += 16) {
            memcpy(pair + i, from + i, 8);
            memcpy(pair + i + 8, below + i, 8);
        }
    }
}

/* Writes a block's pointers [rows][segments] to scratch, and its copied input behind them. Of a block that is not copied
   gcc would warn, were this function inlined, about the copies that are not made. */
QIR_LEAST QIR_SMALL static void qir_conv_u8_open(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b,
                                    const qir_conv_u8_block *at, const uint8_t *x, int32_t wide, void *scratch) {
    const qir_window *const win = &s->window;
    const ptrdiff_t channels = (ptrdiff_t)s->groups * s->in_channels, size = wide % 2 ? 2 : 1;
    const int32_t high = qir_conv_u8_extent(win, 1, at->rows), across = qir_conv_u8_extent(win, 2, at->columns);
    const int32_t more = qir_conv_u8_once_more(s, at, wide), pitch = across + more;
    const int32_t columns = b->by_taps ? win->kernel[2] : 1;
    const int32_t plane = at->plane * win->stride[0] - win->pad[0], row = at->row * win->stride[1] - win->pad[1];
    const int32_t column = at->column * win->stride[2] - win->pad[2];
    const void **segment = (const void **)scratch;
    uint8_t *const room = (uint8_t *)scratch + (ptrdiff_t)b->rows * b->segments * (ptrdiff_t)sizeof(void *);
    int32_t i, j, c, r;
    if (b->copied) {
        const ptrdiff_t behind = win->kernel[2] == 1 ? 0 : win->stride[2] * channels;
        uint8_t *const apart = room + 2 * win->kernel[0] * high * pitch * channels;
        uint8_t *to = room;
        for (i = 0; i < win->kernel[0]; ++i) {
            for (j = 0; j < high; ++j) {
                const int32_t depth = plane + i * win->dilation[0];
                const uint8_t *line;
                if (!QIR_CONV_U8_IS(wide, QIR_CONV_U8_PAIRS)) {
                    to = qir_conv_u8_line(s, x, at->sample, depth, row + j, column, across, s->x_zero_point, wide, to);
                    continue;
                }
                line = qir_conv_u8_there(s, x, at->sample, depth, row + j, column, across, behind);
                if (!line) {
                    qir_conv_u8_line(s, x, at->sample, depth, row + j, column, across, s->x_zero_point, wide, apart);
                    line = apart;
                }
                qir_conv_u8_pair(s, line, across, to);
                to += 2 * pitch * channels;
            }
            if (QIR_CONV_U8_IS(wide, QIR_CONV_U8_PAIRS) && more) {
                qir_conv_u8_pair_rows(s, to - 2 * high * pitch * channels, high, 2 * pitch * channels,
                                      2 * (across - more) * channels, 2 * more * channels);
            }
        }
    }
    for (r = 0; r < at->rows; ++r) {
        for (i = 0; i < win->kernel[0]; ++i) {
            for (j = 0; j < win->kernel[1]; ++j) {
                const int32_t down = r * win->stride[1] + j * win->dilation[1];
                for (c = 0; c < columns; ++c) {
                    const ptrdiff_t right = (ptrdiff_t)c * win->dilation[2];
                    if (b->copied) {
                        *segment++ = room + (((ptrdiff_t)i * high + down) * pitch + right) * channels * size;
                    } else {
                        const ptrdiff_t z = (ptrdiff_t)at->sample * win->in[0] + plane + i * win->dilation[0];
                        *segment++ = x + ((z * win->in[1] + row + down) * win->in[2] + column + right) * channels;
                    }
                }
            }
        }
    }
}

/* The first block, and the next one; none is left once the last sample is done. */
static inline void qir_conv_u8_cut_block(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b,
                                         qir_conv_u8_block *at) {
    const int32_t rows = s->window.out[1] - at->row, columns = s->window.out[2] - at->column;
    at->rows = rows < b->rows ? rows : b->rows;
    at->columns = columns < b->columns ? columns : b->columns;
}

static inline qir_conv_u8_block qir_conv_u8_first_block(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b) {
    qir_conv_u8_block at = {0, 0, 0, 0, 0, 0};
    qir_conv_u8_cut_block(s, b, &at);
    return at;
}

static inline int qir_conv_u8_block_left(const qir_conv_u8_shape *s, const qir_conv_u8_block *at) {
    return at->sample < s->window.batch;
}

static inline void qir_conv_u8_next_block(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b,
                                          qir_conv_u8_block *at) {
    const int32_t *const out = s->window.out;
    at->column += at->columns;
    if (at->column >= out[2]) {
        at->column = 0;
        at->row += at->rows;
    }
    if (at->row >= out[1]) {
        at->row = 0;
        at->plane += 1;
    }
    if (at->plane >= out[0]) {
        at->plane = 0;
        at->sample += 1;
    }
    qir_conv_u8_cut_block(s, b, at);
}

/* Number of the pixel of y that a block's first output pixel is. */
static inline ptrdiff_t qir_conv_u8_pixel(const qir_conv_u8_blocks *b, const qir_conv_u8_block *at) {
    return (ptrdiff_t)at->sample * b->apart[0] + (ptrdiff_t)at->plane * b->apart[1] +
           (ptrdiff_t)at->row * b->apart[2] + (ptrdiff_t)at->column * b->apart[3];
}

#endif
