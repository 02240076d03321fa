/* A product that, in place of its codes, stores their sum with other codes, as kernels/add_u8/add_u8.h has it. */
#ifndef QIR_SUM_H
#define QIR_SUM_H

#include "qir_runtime.h"

/* In the terms of that sum, whose requantization is that of the results:

   own = (float) qir_code(sum of products * multiplier, &requant) * own_multiplier
   y = clamp(rint((offset + own) + other * other_multiplier), low, high), or with both in the other order */
typedef struct {
    float own_multiplier;
    float other_multiplier;
    float offset;
    int32_t own_first;
    qir_requant requant;
} qir_sum;

#endif
