/* Convolution as products of rows of x with panels of weights, for the kernels on vectors of floats.

   The window of an output pixel is a number of *segments*: runs of floats that lie together in x, one for each row of the
   kernel (or for each tap, where taps are dilated or channels are grouped). They start at the same distances from the
   window's corner for every pixel, so the distances are constants. Output pixels go by blocks of a few rows and columns;
   where there is padding a block's input is copied first, with the padding written out. */
#ifndef QIR_CONV_F32_PANELS_H
#define QIR_CONV_F32_PANELS_H

#include "../../runtime/qir_window.h"

typedef struct {
    qir_window window;
    int32_t groups;
    int32_t in_channels;  /* of one group */
    int32_t out_channels; /* of one group */
    int32_t rows;         /* of output pixels in a block */
    int32_t columns;      /* of output pixels in a block */
    int32_t copied;       /* the input of a block is copied */
    int32_t high;         /* rows from plane to plane of what is read: a block's or x's */
    int32_t across;       /* pixels from row to row */
    int32_t segments;
    int32_t length; /* floats of a segment */
    float low;      /* of results, which are clamped */
    float most;
} qir_conv_f32_panels;

/* Input positions along an axis under `count` neighbouring outputs. */
static inline int32_t qir_conv_f32_extent(const qir_window *w, int32_t axis, int32_t count) {
    return (count - 1) * w->stride[axis] + (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

/* One row of a block's input: `count` pixels from `column` on of a row that is inside or not, zeros where x has none. */
static inline void qir_conv_f32_line(const float *row, int32_t inside, int32_t width, ptrdiff_t channels, int32_t column,
                                     int32_t count, float *to) {
    const int32_t first = column < 0 ? -column : 0, left = width - column;
    const int32_t last = left < count ? left : count;
    if (!inside || last <= first) {
        memset(to, 0, (size_t)(count * channels) * sizeof(float));
        return;
    }
    memset(to, 0, (size_t)(first * channels) * sizeof(float));
    memcpy(to + first * channels, row + (column + first) * channels, (size_t)((last - first) * channels) * sizeof(float));
    memset(to + last * channels, 0, (size_t)((count - last) * channels) * sizeof(float));
}

/* The input under `rows` by `columns` output pixels whose first window starts at `start`. */
static inline void qir_conv_f32_copy(const qir_conv_f32_panels *s, const float *x, int32_t sample, const int32_t *start,
                                     int32_t rows, int32_t columns, float *to) {
    const qir_window *const win = &s->window;
    const ptrdiff_t channels = (ptrdiff_t)s->groups * s->in_channels;
    const int32_t high = qir_conv_f32_extent(win, 1, rows), across = qir_conv_f32_extent(win, 2, columns);
    int32_t a, b;
    for (a = 0; a < win->kernel[0]; ++a) {
        const int32_t plane = start[0] + a * win->dilation[0];
        for (b = 0; b < high; ++b) {
            const int32_t row = start[1] + b;
            const int32_t inside = plane >= 0 && plane < win->in[0] && row >= 0 && row < win->in[1];
            const ptrdiff_t line = ((ptrdiff_t)sample * win->in[0] + plane) * win->in[1] + row;
            qir_conv_f32_line(x + (inside ? line * win->in[2] * channels : 0), inside, win->in[2], channels, start[2], across,
                              to + ((ptrdiff_t)a * s->high + b) * s->across * channels);
        }
    }
}

#endif
