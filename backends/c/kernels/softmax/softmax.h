/* Normalization of one axis to a distribution. x and y are [outer, size, inner]; all sums run along the axis, ascending,
   each step rounded. y may share x's bytes.

   softmax:    y = exp(x - max) / sum of exp(x - max)
   logsoftmax: y = (x - max) - log(sum of exp(x - max))
   hardmax:    y = 1 where x is largest (the first of equal ones), else 0

   x - max <= 0, so no exponential overflows, and the sum is at least 1. */
#ifndef QIR_SOFTMAX_H
#define QIR_SOFTMAX_H

#include "../../runtime/qir_runtime.h"

#endif
