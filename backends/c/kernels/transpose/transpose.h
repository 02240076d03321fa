/* Stores the elements of x in another order of axes: y[i0, .., i5] = x[i0 * stride[0] + .. + i5 * stride[5]], with y
   contiguous over size[0..5] and the strides of x counted in elements. */
#ifndef QIR_TRANSPOSE_H
#define QIR_TRANSPOSE_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t size[6];
    int32_t stride[6];
} qir_transpose_shape;

#endif
