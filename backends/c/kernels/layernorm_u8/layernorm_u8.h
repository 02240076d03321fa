/* Layer normalization of rows of codes, uint8 or int16:

   v = size * (x[0]^2 + ..) - (x[0] + ..)^2      64-bit integers: size^2 times the variance of the codes
   r = (float)(1 / sqrt((double)v + epsilon))
   y[i] = clamp(rint(((float)(size * x[i] - (x[0] + ..)) * r) * scale[i] + bias[i]) + zero_point, qmin, qmax)

   each step rounded once (no fused multiply-add). size < 2^15, so that size * x and the sum have at most 30 bits, their
   difference 31, and v 44 where codes have 8 bits, 60 where they have 16. */
#ifndef QIR_LAYERNORM_U8_H
#define QIR_LAYERNORM_U8_H

#include <math.h>

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t rows;
    int32_t size;
    float epsilon;
    qir_requant requant;
} qir_layernorm_u8_shape;

/* By integers alone:

   W = 2^f max(v, 1) + epsilon;  q = sqrt(W 4^j), of the j that makes it 31 bits;  r = (2^61 - 1) / q
   z = ((size * x[i] - (x[0] + ..)) * r + 2^(37 - f/2 - j)) >> (38 - f/2 - j)      the normalized value in units of 2^-23
   y[i] = clamp(((z * scale[i] + bias[i]) >> shift) + zero_point, qmin, qmax)

   with f = 16 where codes have 8 bits, 0 where they have 16. W < 2^61, |z| < 2^31, |scale| <= 2^30, |bias| < 2^62:
   nothing leaves 64 bits. As 2^f <= W, j <= 30 - f/2. */
typedef struct {
    int32_t rows;
    int32_t size;
    int64_t epsilon;
    int32_t fraction; /* f */
    int32_t shift;
    qir_requant requant;
} qir_layernorm_fixed_shape;

/* What a row is multiplied by. */
static inline float qir_layernorm_u8_factor(const qir_layernorm_u8_shape *s, int32_t sum, int64_t squares) {
    const int64_t spread = s->size * squares - (int64_t)sum * sum;
    return (float)(1.0 / sqrt((double)spread + (double)s->epsilon));
}

#endif
