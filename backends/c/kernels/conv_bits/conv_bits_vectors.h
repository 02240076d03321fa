/* What the vectors of every instruction set count on: windows of some pixels, put as its steps want them. */
#ifndef QIR_CONV_BITS_VECTORS_H
#define QIR_CONV_BITS_VECTORS_H

#include "conv_bits_pixel.h"

/* Bytes from one row, and from one plane, to the next. */
typedef struct {
    const uint8_t *x;
    ptrdiff_t row;
    ptrdiff_t plane;
} qir_bits_rows;

/* What is counted: rows of x from `x` on, with the weights of a panel. Row i gives sums[i * pitch] = start[i * step] +
   factor * ones, and so on for each channel of the panel. */
typedef struct {
    const uint8_t *x;
    ptrdiff_t row;
    int32_t steps;
    int32_t factor;
    const int32_t *start;
    ptrdiff_t step;
    ptrdiff_t pitch;
} qir_bits_count;

/* Sums of a pixel, channels filled up to whole groups of every instruction set. */
static inline ptrdiff_t qir_bits_pitch(const qir_conv_bits_shape *s) {
    return (ptrdiff_t)(s->outputs + 63) / 64 * 64;
}

#endif
