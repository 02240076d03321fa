/* Functions of one element: y[i] = f(x[i]). y may share the bytes of x.

   The expression of each operator stands in the family's table; integer arithmetic is carried out in an unsigned type,
   where it wraps. */
#ifndef QIR_UNARY_H
#define QIR_UNARY_H

#include "../../runtime/qir_runtime.h"

#include <math.h>

#endif
