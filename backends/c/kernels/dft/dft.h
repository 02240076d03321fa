/* Discrete Fourier transforms along an axis, by definition: size * results steps.

   y[k] = sum over j of x[j] * exp(-2 pi i j k / n)          (forward)
   y[k] = sum over j of x[j] * exp(+2 pi i j k / n) / n      (inverse)

   x is [outer, given, inner, parts], y [outer, results, inner, parts], parts 1 (real) or 2 (complex); x is cut or filled
   with zeros to n elements. hermitian: x holds the first half of a spectrum whose other half is its mirrored conjugate.
   table: cos(2 pi m / n), then sin(2 pi m / n), of m = 0 ... n - 1. Sums run in double, j ascending. */
#ifndef QIR_DFT_H
#define QIR_DFT_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t outer;
    int32_t given;
    int32_t inner;
    int32_t x_parts;
    int32_t results;
    int32_t y_parts;
    int32_t n;
    int32_t inverse;
    int32_t hermitian;
} qir_dft_shape;

#endif
