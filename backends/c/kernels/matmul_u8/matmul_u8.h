/* Product of two matrices of codes, uint8 or int16, batches broadcast.

   y[n, r, c] = store(sum over k of (a[n, r, k] - a_zero_point) * (b[n, k, c] - b_zero_point),  multiplier)

   store is qir_store_u8 (codes) or qir_store_f32 (reals). Rows, depths and columns of a and b lie at any strides, so
   transposed operands need no copy; y [..., rows, columns] is contiguous.
   Overflow: for uint8 |a - za| and |b - zb| <= 255, and depth <= 33025, so |sum| <= 33025 * 65025 < 2^31. For int16 the
   binder takes accumulators of 64 bits where depth times both bounds reaches 2^31. */
#ifndef QIR_MATMUL_U8_H
#define QIR_MATMUL_U8_H

#include "../../runtime/qir_broadcast.h"

typedef struct {
    qir_broadcast batch; /* over the batch axes; the innermost size is walked like the others */
    int32_t rows;
    int32_t depth;
    int32_t columns;
    int32_t a_row_stride;
    int32_t a_depth_stride;
    int32_t b_depth_stride;
    int32_t b_column_stride;
    int32_t a_zero_point;
    int32_t b_zero_point;
    qir_requant requant;
} qir_matmul_u8_shape;

#endif
