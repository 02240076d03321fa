/* Products of matrices, batches broadcast.

   y[n, r, c] = alpha * (sum over k of a[n, r, k] * b[n, k, c]) + beta * bias[r, c]

   Sums run over k ascending in the element type, each step rounded (integers wrap). a, b and bias lie at any strides, so
   transposed and repeated operands need no copy; y [..., rows, columns] is contiguous. */
#ifndef QIR_MATMUL_F32_H
#define QIR_MATMUL_F32_H

#include "../../runtime/qir_broadcast.h"
#include "../../runtime/qir_dot_f32.h"

typedef struct {
    qir_broadcast batch; /* the innermost size is walked like the others */
    int32_t rows;
    int32_t depth;
    int32_t columns;
    int32_t a_row_stride;
    int32_t a_depth_stride;
    int32_t b_depth_stride;
    int32_t b_column_stride;
    int32_t bias_row_stride;
    int32_t bias_column_stride;
    int32_t packed; /* b is one matrix, packed: [ceil(columns / 8)][depth][8], zeros beyond the last column */
} qir_matmul_f32_shape;

#endif
