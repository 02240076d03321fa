/* Writes to a cache: a copy of x [batch, middle, size, bytes] in which, for each sample b, elements first[b] + t of the axis
   come from updates [batch, middle, steps, bytes]; circular: modulo size. Elements outside the axis are left out. */
#ifndef QIR_TENSOR_SCATTER_H
#define QIR_TENSOR_SCATTER_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t batch;
    int32_t middle;
    int32_t size;
    int32_t steps;
    int32_t circular;
} qir_tensor_scatter_shape;

#endif
