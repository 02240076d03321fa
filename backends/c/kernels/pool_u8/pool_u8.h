/* Average pooling of codes, uint8 or int16, 1 to 3 spatial axes:

   y[n, o, c] = store(sum over taps inside the input of (x[n, o * stride + t * dilation - pad, c] - x_zero_point),
                      multiplier / (float)count)

   count is the number of those taps, or, where padding counts, of those that start before counted_end (the end of the
   declared padding); at least 1. Layouts: x and y [N, D, H, W, C]. Overflow: the binder checks
   taps * max |x - x_zero_point| < 2^31. */
#ifndef QIR_POOL_U8_H
#define QIR_POOL_U8_H

#include "../../runtime/qir_window.h"

typedef struct {
    qir_window window;
    int32_t channels;
    int32_t counts_padding;
    int32_t counted_end[3];
    int32_t x_zero_point;
    float multiplier;
    qir_requant requant;
} qir_pool_u8_shape;

/* Taps of a pixel that lie inside the input. */
static inline int32_t qir_pool_u8_inside(const qir_taps *t) {
    int32_t axis, count = 1;
    for (axis = 0; axis < 3; ++axis) {
        const int32_t taps = t->last[axis] - t->first[axis];
        count *= taps > 0 ? taps : 0;
    }
    return count;
}

/* Number of taps that the average divides by. */
static inline int32_t qir_pool_u8_count(const qir_pool_u8_shape *s, const qir_taps *t) {
    int32_t axis, count = 1;
    for (axis = 0; axis < 3; ++axis) {
        int32_t taps = t->last[axis] - t->first[axis];
        if (s->counts_padding) {
            const int32_t d = s->window.dilation[axis], left = s->counted_end[axis] - t->start[axis];
            taps = left > 0 ? (left + d - 1) / d : 0;
            taps = taps < s->window.kernel[axis] ? taps : s->window.kernel[axis];
        }
        count *= taps > 0 ? taps : 0;
    }
    return count > 0 ? count : 1;
}

#endif
