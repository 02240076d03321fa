/* A window sliding over up to three spatial axes; fewer are led by axes of size 1. */
#ifndef QIR_WINDOW_H
#define QIR_WINDOW_H

#include "qir_runtime.h"

typedef struct {
    int32_t batch;
    int32_t in[3];
    int32_t out[3];
    int32_t kernel[3];
    int32_t stride[3];
    int32_t dilation[3];
    int32_t pad[3]; /* before; what is after follows from out */
} qir_window;

/* Where the window of one output pixel starts, and its taps that lie inside the input: first <= tap < last. */
typedef struct {
    int32_t sample;
    int32_t start[3];
    int32_t first[3];
    int32_t last[3];
} qir_taps;

static inline int32_t qir_pixels(const qir_window *w) {
    return w->batch * w->out[0] * w->out[1] * w->out[2];
}

/* Taps, d apart, that `length` positions take; without dividing where there is nothing to divide. */
static inline int32_t qir_taps_in(int32_t length, int32_t d) {
    return length <= 0 ? 0 : d == 1 ? length : (length + d - 1) / d;
}

/* pixel counts batch and output positions, row by row. */
static inline void qir_find_taps(const qir_window *w, int32_t pixel, qir_taps *t) {
    int32_t axis;
    for (axis = 2; axis >= 0; --axis) {
        const int32_t out = w->out[axis], rest = out == 1 ? pixel : pixel / out;
        const int32_t start = (pixel - rest * out) * w->stride[axis] - w->pad[axis];
        const int32_t last = qir_taps_in(w->in[axis] - start, w->dilation[axis]);
        pixel = rest;
        t->start[axis] = start;
        t->first[axis] = qir_taps_in(-start, w->dilation[axis]);
        t->last[axis] = last < w->kernel[axis] ? last : w->kernel[axis];
    }
    t->sample = pixel;
}

/* Number of the input pixel under a tap. */
static inline ptrdiff_t qir_under_tap(const qir_window *w, const qir_taps *t, int32_t a, int32_t b, int32_t c) {
    const ptrdiff_t plane = (ptrdiff_t)t->sample * w->in[0] + t->start[0] + a * w->dilation[0];
    const ptrdiff_t row = plane * w->in[1] + t->start[1] + b * w->dilation[1];
    return row * w->in[2] + t->start[2] + c * w->dilation[2];
}

#endif
