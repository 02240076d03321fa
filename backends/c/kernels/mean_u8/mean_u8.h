/* Mean of codes, uint8 or int16, over some axes:

   y[i] = store(sum over j of (x[i . kept_stride + j . reduced_stride] - x_zero_point), multiplier)

   the multiplier holds the division by the number of elements. y is contiguous over the kept sizes.
   Overflow: the binder checks count * max |x - x_zero_point| < 2^31. */
#ifndef QIR_MEAN_U8_H
#define QIR_MEAN_U8_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t kept[6];
    int32_t kept_stride[6];
    int32_t reduced[6];
    int32_t reduced_stride[6];
    int32_t x_zero_point;
    float multiplier;
    qir_requant requant;
} qir_mean_u8_shape;

/* Number of rows: the product of all sizes but the innermost. */
static inline int32_t qir_mean_u8_rows(const int32_t *size) {
    return size[0] * size[1] * size[2] * size[3] * size[4];
}

/* Where row `i` starts. */
static inline ptrdiff_t qir_mean_u8_offset(const int32_t *size, const int32_t *stride, int32_t i) {
    ptrdiff_t offset = 0;
    int32_t axis;
    for (axis = 4; axis >= 0; --axis) {
        offset += (ptrdiff_t)(i % size[axis]) * stride[axis];
        i /= size[axis];
    }
    return offset;
}

#endif
