/* Codes put into another order of axes, turned into codes or reals on the way where they cross a network's border.

   The innermost two axes of y make a table of `size[6]` rows by `size[7]` columns, which x holds turned: neighbours
   along a row of x are `stride[6]` = 1 apart, its rows `stride[7]` elements:

   y[.., a, b] = convert(x[.. + a + b * stride[7]])

   convert: nothing; quantize: clamp(rint(x / scale) + zero_point, qmin, qmax); dequantize: (x - zero_point) * scale. */
#ifndef QIR_TRANSPOSE_H
#define QIR_TRANSPOSE_H

#include "../../runtime/qir_strided.h"

typedef struct {
    qir_strided loops;
    float scale;
    qir_requant requant;
} qir_transpose_shape;

#endif
