/* One element each: y[i0, .., ik, .., i5] = x[i0, .., indices[i0, .., i5], .., i5], the index along axis k. Indices outside
   the axis are moved to its nearest end (see qir_index).

   size: of the indices and of y; stride: of x along the same axes, 0 along k; step: of x along k. */
#ifndef QIR_GATHER_ELEMENTS_H
#define QIR_GATHER_ELEMENTS_H

#include "../../runtime/qir_index.h"

typedef struct {
    int32_t size[6];
    int32_t stride[6];
    int32_t axis_size;
    int32_t step;
} qir_elements_shape;

/* Where x has the element of number i, its index along the axis left out. */
static inline ptrdiff_t qir_elements_place(const qir_elements_shape *s, int32_t i) {
    ptrdiff_t place = 0;
    int32_t axis;
    for (axis = 5; axis >= 0; --axis) {
        place += (ptrdiff_t)(i % s->size[axis]) * s->stride[axis];
        i /= s->size[axis];
    }
    return place;
}

#endif
