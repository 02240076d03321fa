/* QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear as ONNX defines them.

   quantize:   y = saturate(rint(x / scale) + zero)       dequantize: y = (x - zero) * scale, in float32
   dynamic:    scale = (max(x, 0) - min(x, 0)) / 255, 1 where that is 0; zero = rint(saturate(-min / scale))

   x is [outer, size, inner]; element (o, k, i) has scale number o * outer_stride + k / block * axis_stride +
   i * inner_stride, and the zero point of the same number. */
#ifndef QIR_QUANTIZE_LINEAR_H
#define QIR_QUANTIZE_LINEAR_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t outer;
    int32_t size;
    int32_t inner;
    int32_t block;
    int32_t outer_stride;
    int32_t axis_stride;
    int32_t inner_stride;
    int32_t low; /* smallest and largest code */
    int32_t high;
} qir_quantize_linear_shape;

#endif
