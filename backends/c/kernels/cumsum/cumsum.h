/* Running sums or products along an axis, forward or backward: x and y are [outer, size, inner]. Exclusive ones leave out
   the element itself. They are in the element type, each step rounded; integers wrap. y may share x's bytes. */
#ifndef QIR_CUMSUM_H
#define QIR_CUMSUM_H

#include "../../runtime/qir_runtime.h"

#endif
