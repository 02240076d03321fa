/* y[i] = f(a[i], b[i]) with broadcasting. y may share the bytes of an operand of its own shape.

   The expression of each operator stands in the family's table. Integer arithmetic is carried out in an unsigned type,
   where it wraps; integer division by zero gives 0, as does the remainder; shifts by the width or more give 0. */
#ifndef QIR_BINARY_H
#define QIR_BINARY_H

#include "../../runtime/qir_broadcast.h"

#include <math.h>

/* base to the power of exponent modulo 2^64, by repeated squaring. */
static inline uint64_t qir_power(uint64_t base, uint64_t exponent) {
    uint64_t result = 1;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1) {
            result *= base;
        }
        base *= base;
    }
    return result;
}

#endif
