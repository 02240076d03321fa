/* Codes of few levels to packed bits.

   The number of a code is (x - low) / step, below 2^bits. y holds, for each pixel, `bits` planes of ceil(channels / 8)
   bytes: bit i of plane p, lowest first, is bit p of channel i's number; beyond the last channel bits are 0. */
#ifndef QIR_PACK_BITS_H
#define QIR_PACK_BITS_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t pixels;
    int32_t channels;
    int32_t bits;
    int32_t low;
    int32_t step; /* 1 or 2 */
} qir_pack_bits_shape;

#endif
