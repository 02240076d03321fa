/* The input of conv_bits_pixels__avx2.c in planes of half bytes. */
#ifndef QIR_CONV_BITS_PIXELS_H
#define QIR_CONV_BITS_PIXELS_H

#include "../../runtime/qir_x86.h"
#include "conv_bits_pixel.h"

/* How a layer is cut into blocks (pixels.py). */
typedef struct {
    int32_t rows;   /* of the result */
    int32_t flat;   /* windows are single pixels, one below the other in one column */
    int32_t planes;
    int32_t plane;  /* bytes */
    int32_t starts; /* counts that pixels start with */
    int32_t half;   /* of the channels of x, where taps lie outside */
} qir_bits_block;

/* Remainders that rows of taps have by the stride. */
static inline int32_t qir_bits_phases(const qir_window *win) {
    const int32_t reach = (win->kernel[1] - 1) * win->dilation[1] + 1;
    return reach < win->stride[1] ? reach : win->stride[1];
}

/* Of each step where a pixel lies that lies at x in the first plane; threes filled up by the plane behind all. */
static inline void qir_bits_places(const qir_conv_bits_shape *s, const qir_bits_block *block, const uint8_t *x,
                                   const uint8_t **place) {
    const qir_window *const win = &s->window;
    int32_t b, c, j, steps = 0;
    for (b = 0; b < win->kernel[1]; ++b) {
        const int32_t below = b * win->dilation[1], line = below / win->stride[1];
        const int32_t phase = below - line * win->stride[1];
        const uint8_t *from = x + (ptrdiff_t)phase * win->kernel[2] * 2 * s->bytes * block->plane + line * win->out[2];
        for (c = 0; c < win->kernel[2]; ++c) {
            for (j = 0; j < 2 * s->bytes; ++j, from += block->plane) {
                place[steps++] = from;
            }
        }
    }
    for (; steps % 3; ++steps) {
        place[steps] = x + (ptrdiff_t)block->planes * block->plane;
    }
}

/* Four bytes of each of `count` pixels, `next` bytes apart, or as many as they have. */
static inline void qir_bits_fours(const uint8_t *x, ptrdiff_t next, int32_t count, int32_t bytes, uint32_t *to) {
    int32_t i;
    if (bytes >= 4) {
        for (i = 0; i < count; ++i, x += next) {
            (void)memcpy(to + i, x, 4);
        }
    } else if (bytes == 2) {
        for (i = 0; i < count; ++i, x += next) {
            to[i] = (uint32_t)x[0] | (uint32_t)x[1] << 8;
        }
    } else {
        for (i = 0; i < count; ++i, x += next) {
            to[i] = x[0] | (bytes > 1 ? (uint32_t)x[1] << 8 | (uint32_t)x[2] << 16 : 0);
        }
    }
}

QIR_AVX2 static QIR_INLINE __m128i qir_bits_sixteen_bytes(const uint8_t *from) {
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}

/* Bytes 0, 1, 2 and 3 of four pixels each. */
QIR_AVX2 static QIR_INLINE __m128i qir_bits_by_byte(__m128i fours) {
    return _mm_shuffle_epi8(fours, _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
}

QIR_AVX2 static QIR_INLINE void qir_bits_two_halves(__m128i v, ptrdiff_t plane, uint8_t *to) {
    const __m128i mask = _mm_set1_epi8(15);
    _mm_storeu_si128((__m128i *)(void *)to, _mm_and_si128(v, mask));
    _mm_storeu_si128((__m128i *)(void *)(to + plane), _mm_and_si128(_mm_srli_epi16(v, 4), mask));
}

/* Bytes of four times four pixels, each a vector: byte j of all sixteen to v[j]. */
QIR_AVX2 static QIR_INLINE void qir_bits_of_sixteen(__m128i v[4]) {
    const __m128i a = qir_bits_by_byte(v[0]), b = qir_bits_by_byte(v[1]), c = qir_bits_by_byte(v[2]);
    const __m128i d = qir_bits_by_byte(v[3]), ab = _mm_unpacklo_epi32(a, b), cd = _mm_unpacklo_epi32(c, d);
    const __m128i ab2 = _mm_unpackhi_epi32(a, b), cd2 = _mm_unpackhi_epi32(c, d);
    v[0] = _mm_unpacklo_epi64(ab, cd);
    v[1] = _mm_unpackhi_epi64(ab, cd);
    v[2] = _mm_unpacklo_epi64(ab2, cd2);
    v[3] = _mm_unpackhi_epi64(ab2, cd2);
}

/* Sixteen neighbours of two bytes. */
QIR_AVX2 static QIR_INLINE void qir_bits_pairs(const uint8_t *x, ptrdiff_t plane, uint8_t *to) {
    const __m128i apart = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    const __m128i a = _mm_shuffle_epi8(qir_bits_sixteen_bytes(x), apart);
    const __m128i b = _mm_shuffle_epi8(qir_bits_sixteen_bytes(x + 16), apart);
    qir_bits_two_halves(_mm_unpacklo_epi64(a, b), plane, to);
    qir_bits_two_halves(_mm_unpackhi_epi64(a, b), plane, to + 2 * plane);
}

/* Four bytes, or as many as there are, from byte `at` on of four pixels, 4 or 8 bytes apart. */
QIR_AVX2 static QIR_INLINE __m128i qir_bits_four_near(const uint8_t *x, ptrdiff_t next, int32_t at) {
    __m128 a, b;
    if (next == 4) {
        return qir_bits_sixteen_bytes(x);
    }
    a = _mm_castsi128_ps(qir_bits_sixteen_bytes(x));
    b = _mm_castsi128_ps(qir_bits_sixteen_bytes(x + 16));
    return _mm_castps_si128(at ? _mm_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1))
                               : _mm_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
}

/* [16][16 bytes] to [byte][16], in both halves of each vector: to interleave the halves of an array turns the bits of
   places by one, so after four times those of rows and of bytes have changed theirs. */
QIR_AVX2 static QIR_INLINE void qir_bits_turn_sixteen(__m256i v[16]) {
    __m256i other[16];
    int32_t i, times;
    for (times = 0; times < 2; ++times) {
        for (i = 0; i < 8; ++i) {
            other[2 * i] = _mm256_unpacklo_epi8(v[i], v[i + 8]);
            other[2 * i + 1] = _mm256_unpackhi_epi8(v[i], v[i + 8]);
        }
        for (i = 0; i < 8; ++i) {
            v[2 * i] = _mm256_unpacklo_epi8(other[i], other[i + 8]);
            v[2 * i + 1] = _mm256_unpackhi_epi8(other[i], other[i + 8]);
        }
    }
}

/* Sixteen bytes of `count` pixels, of 32 at most, to 32 places. */
QIR_AVX2 static QIR_INLINE void qir_bits_sixteen_planes(const uint8_t *x, ptrdiff_t next, int32_t count,
                                                        ptrdiff_t plane, uint8_t *to) {
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i v[16];
    int32_t k;
    for (k = 0; k < 16; ++k, x += next) {
        const __m128i none = _mm_setzero_si128(), first = k < count ? qir_bits_sixteen_bytes(x) : none;
        const __m128i second = k + 16 < count ? qir_bits_sixteen_bytes(x + 16 * next) : none;
        v[k] = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
    }
    qir_bits_turn_sixteen(v);
    for (k = 0; k < 16; ++k, to += 2 * plane) {
        _mm256_storeu_si256((__m256i *)(void *)to, _mm256_and_si256(v[k], mask));
        _mm256_storeu_si256((__m256i *)(void *)(to + plane), _mm256_and_si256(_mm256_srli_epi16(v[k], 4), mask));
    }
}

/* `count` pixels, `next` bytes apart, to as many places of the planes, and up to 31 more. Where that leads not beyond
   the end of all pixels, sixteen are read as they lie. */
QIR_AVX2 QIR_ALONE static void qir_bits_line(const uint8_t *x, const uint8_t *end, ptrdiff_t next, int32_t count,
                                             int32_t bytes, ptrdiff_t plane, uint8_t *to) {
    const int32_t some = bytes < 4 ? bytes : 4;
    int32_t j, k;
    for (; bytes >= 16 && count > 0; count -= 32, x += 32 * next, to += 32) {
        for (j = 0; j < bytes; j += 16) {
            const int32_t at = j + 16 <= bytes ? j : bytes - 16;
            qir_bits_sixteen_planes(x + at, next, count, plane, to + 2 * at * plane);
        }
    }
    for (; bytes == 2 && next == 2 && count > 0 && end - x >= 32; count -= 16, x += 32, to += 16) {
        qir_bits_pairs(x, plane, to);
    }
    for (; count > 0; count -= 16, x += 16 * next, to += 16) {
        const int whole = end - x >= 16 * next;
        for (j = 0; j < bytes; j += 4) {
            const int32_t at = bytes < 4 ? 0 : j + 4 <= bytes ? j : bytes - 4;
            __m128i v[4];
            if (whole && (next == 4 || next == 8)) {
                for (k = 0; k < 4; ++k) {
                    v[k] = qir_bits_four_near(x + 4 * k * next, next, at);
                }
            } else {
                uint32_t fours[16] = {0};
                qir_bits_fours(x + at, next, count < 16 ? count : 16, bytes, fours);
                for (k = 0; k < 4; ++k) {
                    v[k] = qir_bits_sixteen_bytes((const uint8_t *)(fours + 4 * k));
                }
            }
            qir_bits_of_sixteen(v);
            for (k = 0; k < some; ++k) {
                qir_bits_two_halves(v[k], plane, to + 2 * (at + k) * plane);
            }
        }
    }
}

/* `count` places and up to fifteen more in each of the planes. */
QIR_AVX2 static QIR_INLINE void qir_bits_fill(__m128i filler, int32_t count, int32_t planes, ptrdiff_t plane,
                                              uint8_t *to) {
    int32_t i, j;
    for (i = 0; i < count; i += 16) {
        for (j = 0; j < planes; ++j) {
            _mm_storeu_si128((__m128i *)(void *)(to + i + j * plane), filler);
        }
    }
}

/* The planes that `rows` rows of the result from `row` on need. Lines are written in their order, and what is written
   beyond the end of one belongs to the next. */
QIR_AVX2 static QIR_INLINE void qir_bits_halves(const qir_conv_bits_shape *s, const qir_bits_block *block,
                                                const uint8_t *x, int32_t row, int32_t rows, uint8_t *halves) {
    const qir_window *const win = &s->window;
    const int32_t phases = qir_bits_phases(win), across = win->stride[2], planes = 2 * s->bytes, width = win->out[2];
    const int32_t lines = rows + (win->kernel[1] - 1) * win->dilation[1] / win->stride[1];
    const __m128i filler = _mm_set1_epi8((char)(s->padded ? 0x80 : 0));
    const uint8_t *const all = x + (ptrdiff_t)win->in[1] * win->in[2] * s->bytes;
    const ptrdiff_t plane = block->plane;
    int32_t phase, tap, line;
    if (block->flat) {
        qir_bits_line(x + (ptrdiff_t)row * s->bytes, all, s->bytes, rows, s->bytes, plane, halves);
        return;
    }
    for (phase = 0; phase < phases; ++phase) {
        for (tap = 0; tap < win->kernel[2]; ++tap, halves += planes * plane) {
            const int32_t before = win->pad[2] - tap * win->dilation[2], inside = win->in[2] + before;
            const int32_t begin = before > 0 ? (before + across - 1) / across : 0;
            const int32_t end = inside > 0 ? (inside + across - 1) / across : 0;
            const int32_t first = begin < width ? begin : width, some = end < width ? end : width;
            const int32_t last = some > first ? some : first;
            for (line = 0; line < lines; ++line) {
                const int32_t from = (row + line) * win->stride[1] + phase - win->pad[1];
                uint8_t *const to = halves + (ptrdiff_t)line * width;
                if (from < 0 || from >= win->in[1]) {
                    qir_bits_fill(filler, width, planes, plane, to);
                    continue;
                }
                qir_bits_fill(filler, first, planes, plane, to);
                qir_bits_line(x + ((ptrdiff_t)from * win->in[2] + first * across - before) * s->bytes, all,
                              (ptrdiff_t)across * s->bytes, last - first, s->bytes, plane, to + first);
                qir_bits_fill(filler, width - last, planes, plane, to + last);
            }
        }
    }
}

/* Taps of a window at `at` along an axis that lie inside the input. */
static inline int32_t qir_bits_taps_inside(const qir_window *win, int32_t axis, int32_t at) {
    const int32_t start = at * win->stride[axis] - win->pad[axis];
    const int32_t first = qir_taps_in(-start, win->dilation[axis]);
    const int32_t end = qir_taps_in(win->in[axis] - start, win->dilation[axis]);
    const int32_t last = end < win->kernel[axis] ? end : win->kernel[axis];
    return last > first ? last - first : 0;
}

/* Of each column half of the channels times its taps inside, and places for a vector more. */
static inline void qir_bits_columns_inside(const qir_window *win, int32_t half, int16_t *columns) {
    int32_t column;
    for (column = 0; column < win->out[2]; ++column) {
        columns[column] = (int16_t)(half * qir_bits_taps_inside(win, 2, column));
    }
}

/* Half of the channels for each tap outside, in the order of counts (conv_bits_pixels__avx2.c): the second and the third
   eight of 32 change places. */
QIR_AVX2 static QIR_INLINE void qir_bits_starts_outside(const qir_conv_bits_shape *s, const qir_bits_block *block,
                                                        const int16_t *columns, int32_t row, int32_t rows,
                                                        int16_t *start) {
    const qir_window *const win = &s->window;
    const int32_t width = win->out[2], pixels = rows * width;
    const __m256i all = _mm256_set1_epi16((int16_t)(win->kernel[1] * win->kernel[2] * block->half));
    int32_t i, column;
    for (i = 0; i < rows; ++i) {
        const __m256i inside = _mm256_set1_epi16((int16_t)qir_bits_taps_inside(win, 1, row + i));
        for (column = 0; column < width; column += 16) {
            const __m256i own = _mm256_loadu_si256((const __m256i *)(const void *)(columns + column));
            const __m256i outside = _mm256_sub_epi16(all, _mm256_mullo_epi16(inside, own));
            _mm256_storeu_si256((__m256i *)(void *)(start + i * width + column), outside);
        }
    }
    for (i = 0; i < pixels; i += 32) {
        const __m128i second = qir_bits_sixteen_bytes((const uint8_t *)(start + i + 8));
        const __m128i third = qir_bits_sixteen_bytes((const uint8_t *)(start + i + 16));
        _mm_storeu_si128((__m128i *)(void *)(start + i + 8), third);
        _mm_storeu_si128((__m128i *)(void *)(start + i + 16), second);
    }
}

#endif
