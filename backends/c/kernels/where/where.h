/* y[i] = choice[i] ? a[i] : b[i] with broadcasting. y may share the bytes of a or b, where that has its shape. */
#ifndef QIR_WHERE_H
#define QIR_WHERE_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t size[6];
    int32_t choice_stride[6];
    int32_t a_stride[6];
    int32_t b_stride[6];
} qir_where_shape;

#endif
