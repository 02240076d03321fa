/* Product of two tensors of codes, uint8 or int16, with broadcasting:

   y = store((a - a_zero_point) * (b - b_zero_point), multiplier)

   store is qir_store_u8 (codes) or qir_store_f32 (reals). |product| <= 255^2 for uint8; int16
   is multiplied in int64. y may share its bytes with an operand of
   its own shape and type. */
#ifndef QIR_MUL_U8_H
#define QIR_MUL_U8_H

#include "../../runtime/qir_broadcast.h"

typedef struct {
    int32_t a_zero_point;
    int32_t b_zero_point;
    float multiplier;
    qir_requant requant;
} qir_mul_u8_numbers;

#endif
