/* Max, Min, Sum and Mean of any number of broadcasting operands, folded from the first to the last:

   y = f(.. f(f(x0, x1), x2) .., xn), for Mean divided by n + 1.

   stride: for each operand the six strides of its elements along the loops of size. */
#ifndef QIR_VARIADIC_H
#define QIR_VARIADIC_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t size[6];
} qir_variadic_shape;

#endif
