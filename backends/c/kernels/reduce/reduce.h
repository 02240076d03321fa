/* Reductions over some axes: for every kept element i

   acc = INITIAL;  acc = STEP(acc, x[i . kept_stride + j . reduced_stride]) for every reduced element j;  y[i] = FINISH(acc)

   in the order of storage, the accumulator in the type that the family's table names (integers: an unsigned one, where
   sums wrap). first[i] is element j = 0 where there is one, else the accumulator's start. y is contiguous over the kept
   sizes. */
#ifndef QIR_REDUCE_H
#define QIR_REDUCE_H

#include "../../runtime/qir_runtime.h"

#include <math.h>

typedef struct {
    int32_t kept[6];
    int32_t kept_stride[6];
    int32_t reduced[6];
    int32_t reduced_stride[6];
    int32_t count; /* of elements that are reduced to one */
} qir_reduce_shape;

/* Offset of element `i`, counted row by row over six axes. */
static inline ptrdiff_t qir_reduce_offset(const int32_t *size, const int32_t *stride, int32_t i) {
    ptrdiff_t offset = 0;
    int32_t axis;
    for (axis = 5; axis >= 0; --axis) {
        offset += (ptrdiff_t)(i % size[axis]) * stride[axis];
        i /= size[axis];
    }
    return offset;
}

#endif
