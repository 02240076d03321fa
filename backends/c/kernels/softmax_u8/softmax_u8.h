/* Softmax of rows of uint8 codes:

   e[i] = table[max(x) - x[i]]      exp(-d scale) for d = 0..255 as integers, 2^24 for 1
   y[i] = store(e[i], multiplier / (float)(e[0] + .. + e[size - 1]))

   The sum is exact in 64 bits: its order does not matter. Every e is exact as a float. */
#ifndef QIR_SOFTMAX_U8_H
#define QIR_SOFTMAX_U8_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t rows;
    int32_t size;
    float multiplier;
    qir_requant requant;
} qir_softmax_u8_shape;

#endif
