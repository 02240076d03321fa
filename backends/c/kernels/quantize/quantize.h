/* Between reals and codes, element by element; at the borders of a network also into another order of axes.

   quantize:   y = clamp(rint(x / scale) + zero_point, qmin, qmax), a float32 quotient; NaN gives qmin.
   dequantize: y = (float)(x - zero_point) * scale.
   The requant's zero point and bounds keep to 16 bits, so the rounding of qir_round is exact. */
#ifndef QIR_QUANTIZE_H
#define QIR_QUANTIZE_H

#include "../../runtime/qir_strided.h"

#endif
