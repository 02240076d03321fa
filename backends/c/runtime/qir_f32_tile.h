/* Products of rows of x with a panel of weights, in tiles whose sums stay in registers. */
#ifndef QIR_F32_TILE_H
#define QIR_F32_TILE_H

#include "qir_vector.h"

/* y[r, c] = clamp(bias[c] + sum over segments s and k of x[r * stride + segment[s] + k] * weights[s, k, c], low, high)

   for the columns of a panel, which is two vectors wide. Each sum starts with the bias and runs over s and k ascending,
   one fused multiply-add a step, whatever the tile: results depend neither on how many rows go together nor on where
   columns end. NaN passes the clamp. Weights: [segments][length][2 * QIR_WIDTH], zeros beyond the last column. */
typedef struct {
    const int32_t *segment; /* where the segments of a row start */
    int32_t segments;
    int32_t length; /* of a segment */
    ptrdiff_t stride; /* floats between neighbouring rows of x */
    ptrdiff_t step;   /* floats between neighbouring rows of y */
    const float *weights;
    const float *bias;
    int32_t columns; /* that are left from this panel on */
    float low;
    float high;
} qir_f32_tile;

/* each(0) each(1) ... each(n - 1). */
#define QIR_ROWS_1(each) each(0)
#define QIR_ROWS_2(each) QIR_ROWS_1(each) each(1)
#define QIR_ROWS_3(each) QIR_ROWS_2(each) each(2)
#define QIR_ROWS_4(each) QIR_ROWS_3(each) each(3)
#define QIR_ROWS_5(each) QIR_ROWS_4(each) each(4)
#define QIR_ROWS_6(each) QIR_ROWS_5(each) each(5)
#define QIR_ROWS_7(each) QIR_ROWS_6(each) each(6)
#define QIR_ROWS_8(each) QIR_ROWS_7(each) each(7)
#define QIR_ROWS_10(each) QIR_ROWS_8(each) each(8) each(9)
#define QIR_ROWS_12(each) QIR_ROWS_10(each) each(10) each(11)
#define QIR_ROWS_14(each) QIR_ROWS_12(each) each(12) each(13)

/* Element of row i; one pointer serves three rows, which addresses can tell apart by their scale. */
#define QIR_ROW_0 x0[0]
#define QIR_ROW_1 x0[stride]
#define QIR_ROW_2 x0[2 * stride]
#define QIR_ROW_3 x3[0]
#define QIR_ROW_4 x3[stride]
#define QIR_ROW_5 x3[2 * stride]
#define QIR_ROW_6 x6[0]
#define QIR_ROW_7 x6[stride]
#define QIR_ROW_8 x6[2 * stride]
#define QIR_ROW_9 x9[0]
#define QIR_ROW_10 x9[stride]
#define QIR_ROW_11 x9[2 * stride]
#define QIR_ROW_12 x12[0]
#define QIR_ROW_13 x12[stride]

/* Rows of a tile when `count` are left and a tile has at most `tallest`: pieces of nearly equal size; beyond eight rows
   there are only tiles of even height. */
static inline int32_t qir_f32_rows(int32_t count, int32_t tallest) {
    const int32_t pieces = (count + tallest - 1) / tallest;
    const int32_t piece = (count + pieces - 1) / pieces;
    if (piece > 8 && piece % 2) {
        return pieces > 1 ? piece + 1 : (piece + 1) / 2;
    }
    return piece;
}

/* Copies rows of `width` results, of which the first `columns` belong into rows of y. */
static inline void qir_f32_part(const float *part, int32_t width, int32_t rows, int32_t columns, float *y, ptrdiff_t step) {
    for (; rows > 0; --rows, part += width, y += step) {
        (void)memcpy(y, part, (size_t)columns * sizeof(float));
    }
}

#endif
