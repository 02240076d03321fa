/* The k largest or smallest elements along an axis, best first, of equal ones the earlier first: x is [outer, size, inner],
   values and indices are [outer, k, inner]. An element is put into the list of the best so far: size * k steps at worst. */
#ifndef QIR_TOPK_H
#define QIR_TOPK_H

#include "../../runtime/qir_runtime.h"

#endif
