/* Product of rows of codes, uint8 or int16, with a matrix of up to 16 bits.

   y[r, c] = store(bias[c] + sum over k of x[r, k] * w[k, c],  multiplier[c])

   store is qir_store_u8 (codes) or qir_store_f32 (reals); the bias holds -x_zero_point * sum of w[., c].
   Layouts: x [rows, depth], y [rows, columns]. Overflow: the binder checks for every column that
   |bias| + 255 * sum |w| < 2^31, so that no partial sum leaves int32. int16 codes have zero point 0: 32768 takes the place
   of 255, and where the sum reaches 2^31 accumulators have 64 bits, as with int16 weights. */
#ifndef QIR_GEMM_U8_H
#define QIR_GEMM_U8_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t columns;
    qir_requant requant;
} qir_gemm_u8_shape;

#endif
