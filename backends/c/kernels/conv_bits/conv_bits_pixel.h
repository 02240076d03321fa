/* What is done for one pixel of the result: its window gathered, ones counted, sums made into results (conv_bits.h). */
#ifndef QIR_CONV_BITS_PIXEL_H
#define QIR_CONV_BITS_PIXEL_H

#include "conv_bits.h"

/* Sums of two, four and eight bits side by side; the product adds the bytes into the highest. Registers of 32 bits take
   the halves of a word one by one up to sums of four bits. */
#if UINTPTR_MAX > 0xffffffffu
static inline int32_t qir_ones(uint64_t v) {
    v -= v >> 1 & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
    return (int32_t)(((v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56);
}
#else
static inline uint32_t qir_ones_by_four(uint32_t v) {
    v -= v >> 1 & 0x55555555u;
    return (v & 0x33333333u) + (v >> 2 & 0x33333333u);
}

static inline int32_t qir_ones(uint64_t v) {
    const uint32_t sums = qir_ones_by_four((uint32_t)v) + qir_ones_by_four((uint32_t)(v >> 32));
    return (int32_t)(((sums & 0x0f0f0f0fu) + (sums >> 4 & 0x0f0f0f0fu)) * 0x01010101u >> 24);
}
#endif

/* Few bytes; the last ones may overlap those before. */
static inline void qir_bits_copy(const uint8_t *QIR_RESTRICT from, int32_t bytes, uint8_t *QIR_RESTRICT to) {
    int32_t i;
    if (bytes < 4) {
        for (i = 0; i < bytes; ++i) {
            to[i] = from[i];
        }
        return;
    }
    if (bytes < 8) {
        (void)memcpy(to, from, 4);
        (void)memcpy(to + bytes - 4, from + bytes - 4, 4);
        return;
    }
    for (i = 0; i + 16 <= bytes; i += 16) {
        (void)memcpy(to + i, from + i, 16);
    }
    if (i + 8 < bytes) {
        (void)memcpy(to + i, from + i, 8);
    }
    (void)memcpy(to + bytes - 8, from + bytes - 8, 8);
}

/* Whether all taps of a window lie inside the input. */
static inline int qir_bits_inside(const qir_window *win, const qir_taps *t) {
    int32_t axis, inside = 1;
    for (axis = 0; axis < 3; ++axis) {
        inside &= t->first[axis] == 0 && t->last[axis] == win->kernel[axis];
    }
    return inside;
}

/* One plane of a window: the pixels under its taps, one after the other; neighbours in one go. */
static inline void qir_bits_plane(const qir_conv_bits_shape *s, const uint8_t *x, const qir_taps *t, int32_t plane,
                                  uint64_t *words) {
    const qir_window *const win = &s->window;
    const int32_t bytes = s->bytes, pixel = bytes * s->planes, across = win->kernel[2] * bytes;
    const int32_t wide = t->last[2] - t->first[2];
    const int32_t step = s->planes == 1 && win->dilation[2] == 1 && wide > 0 ? wide : 1;
    uint8_t *row = (uint8_t *)words;
    int32_t a, b, c;
    words[s->words - 1] = 0;
    if (!qir_bits_inside(win, t)) {
        (void)memset(words, 0, (size_t)s->words * sizeof(uint64_t));
    }
    for (a = 0; a < win->kernel[0]; ++a) {
        for (b = 0; b < win->kernel[1]; ++b, row += across) {
            if (a < t->first[0] || a >= t->last[0] || b < t->first[1] || b >= t->last[1]) {
                continue;
            }
            for (c = t->first[2]; c < t->last[2]; c += step) {
                const uint8_t *const from = x + qir_under_tap(win, t, a, b, c) * pixel + plane * bytes;
                qir_bits_copy(from, step * bytes, row + c * bytes);
            }
        }
    }
}

/* All planes of a window as rows of words; returns sum of 2^i |a_i| where `count` says so, else 0. */
static inline int32_t qir_bits_window(const qir_conv_bits_shape *s, const uint8_t *x, const qir_taps *t, int count,
                                      uint64_t *row) {
    int32_t plane, word, ones = 0;
    for (plane = 0; plane < s->planes; ++plane, row += s->words) {
        qir_bits_plane(s, x, t, plane, row);
        for (word = 0; count && word < s->words; ++word) {
            ones += qir_ones(row[word]) << plane;
        }
    }
    return ones;
}

/* Adds to the sums what taps outside the input have not taken off. */
static inline void qir_bits_outside(const qir_conv_bits_shape *s, const int32_t *QIR_RESTRICT outside,
                                    const qir_taps *t, int32_t *QIR_RESTRICT sums) {
    const qir_window *const win = &s->window;
    int32_t a, b, c, m;
    if (qir_bits_inside(win, t)) {
        return;
    }
    for (a = 0; a < win->kernel[0]; ++a) {
        for (b = 0; b < win->kernel[1]; ++b) {
            for (c = 0; c < win->kernel[2]; ++c, outside += s->outputs) {
                if (a < t->first[0] || a >= t->last[0] || b < t->first[1] || b >= t->last[1] || c < t->first[2] ||
                    c >= t->last[2]) {
                    for (m = 0; m < s->outputs; ++m) {
                        sums[m] += outside[m];
                    }
                }
            }
        }
    }
}

/* What the sums of a pixel become; each returns where the next pixel's results start. */

static inline uint8_t *qir_bits_numbers(const qir_conv_bits_shape *s, const int32_t *QIR_RESTRICT sums,
                                        const int32_t *QIR_RESTRICT threshold, uint8_t *QIR_RESTRICT y) {
    int32_t m, level;
    for (m = 0; m < s->outputs; ++m) {
        int32_t number = 0;
        for (level = 0; level < s->levels - 1; ++level) {
            number += sums[m] >= threshold[level * s->outputs + m];
        }
        y[m] = (uint8_t)(s->y_low + s->y_step * number);
    }
    return y + s->outputs;
}

static inline uint8_t *qir_bits_packed(const qir_conv_bits_shape *s, const int32_t *QIR_RESTRICT sums,
                                       const int32_t *QIR_RESTRICT threshold, uint8_t *QIR_RESTRICT y) {
    const int32_t bytes = (s->outputs + 7) / 8;
    int32_t first, i, level;
    for (first = 0; first < s->outputs; first += 8) {
        const int32_t count = s->outputs - first < 8 ? s->outputs - first : 8;
        uint32_t low = 0, high = 0;
        for (i = 0; i < count; ++i) {
            uint32_t number = 0;
            for (level = 0; level < s->levels - 1; ++level) {
                number += sums[first + i] >= threshold[level * s->outputs + first + i];
            }
            low |= (number & 1) << i;
            high |= (number >> 1) << i;
        }
        y[first / 8] = (uint8_t)low;
        if (s->y_bits == 2) {
            y[bytes + first / 8] = (uint8_t)high;
        }
    }
    return y + (ptrdiff_t)bytes * s->y_bits;
}

#endif
