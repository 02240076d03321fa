/* Elements picked at constant distances: y[i0, .., i7] = x[offset + i0 * stride[0] + .. + i7 * stride[7]], with y
   contiguous over size[0..7]; strides count elements and may be 0 or negative. The binder derives them from shapes that
   are known, so that no place lies outside x. */
#ifndef QIR_STRIDED_H
#define QIR_STRIDED_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t offset;
    int32_t size[8];
    int32_t stride[8];
} qir_strided_shape;

#endif
