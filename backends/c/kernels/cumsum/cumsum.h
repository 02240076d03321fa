/* Running sums along an axis, forward or backward: x and y are [outer, size, inner]. An exclusive sum leaves out the element
   itself. Sums are in the element type, each step rounded; integers wrap. y may share x's bytes. */
#ifndef QIR_CUMSUM_H
#define QIR_CUMSUM_H

#include "../../runtime/qir_runtime.h"

#endif
