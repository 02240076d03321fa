/* Padding and cropping of up to six axes. Along each axis output i comes from input i - before where that lies inside,
   else: 0 constant: it is *value; 1 edge: the nearest; 2 reflect: mirrored at the first and last; 3 wrap: from the other
   side. The binder checks that no axis of x is empty where the mode is not constant. */
#ifndef QIR_PAD_H
#define QIR_PAD_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t in[6];
    int32_t out[6];
    int32_t before[6];
    int32_t mode;
} qir_pad_shape;

/* Where output i of an axis comes from; -1: from nowhere. */
static inline int32_t qir_pad_source(const qir_pad_shape *s, int32_t axis, int32_t i) {
    const int32_t size = s->in[axis], place = i - s->before[axis];
    int32_t period, r;
    if (place >= 0 && place < size) {
        return place;
    }
    switch (s->mode) {
        case 1:
            return place < 0 ? 0 : size - 1;
        case 2:
            period = size > 1 ? 2 * (size - 1) : 1;
            r = place % period;
            r = r < 0 ? r + period : r;
            return r < size ? r : period - r;
        case 3:
            r = place % size;
            return r < 0 ? r + size : r;
        default:
            return -1;
    }
}

#endif
