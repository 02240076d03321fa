/* Weighted sum of two tensors of codes, uint8 or int16, with broadcasting:

   y = clamp(rint((offset + a * a_multiplier) + b * b_multiplier), low, high)

   every step rounded to float32 (no fused multiply-add). The offset holds all zero points: with
   real = (code - zero) * scale it is zero_y - zero_a * scale_a / scale_y - zero_b * scale_b / scale_y. y may share its
   bytes with an operand of its own shape.

   By integers alone, in units of 2^-shift, the offset with a half for rounding:

   y = clamp((offset + a * a_multiplier + b * b_multiplier) >> shift, low, high)

   The binder chooses the shift so that no partial sum leaves int32, or int64 where codes have 16 bits. */
#ifndef QIR_ADD_U8_H
#define QIR_ADD_U8_H

#include "../../runtime/qir_broadcast.h"

typedef struct {
    float a_multiplier;
    float b_multiplier;
    float offset;
    qir_requant requant;
} qir_add_u8_numbers;

typedef struct {
    int32_t a_multiplier;
    int32_t b_multiplier;
    int64_t offset;
    int32_t shift;
    qir_requant requant;
} qir_add_fixed_numbers;

#endif
