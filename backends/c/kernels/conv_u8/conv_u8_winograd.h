/* What Winograd's kernel wants of an instruction set. */
#ifndef QIR_CONV_U8_WINOGRAD_H
#define QIR_CONV_U8_WINOGRAD_H

#include "../../runtime/qir_woven.h"

/* Products at one place, as each instruction set has them under the name QIR_PLACE: of a block's tiles, their codes x,
   woven (runtime/qir_woven.h) by tiles in the place of pixels, with the weights of sixteen output channels, of which
   `channels` are left, give the sums y [tile][16], modulo 2^32.

   depth: input channels, filled up. offset: [tile], where products are crossed. Weights that come next lie at `next`:
   asked for in time, they come as fast as a cache far away can give them. */

/* 9 times this is 1 modulo 2^32. */
#define QIR_WINOGRAD_NINTH 0x38e38e39

#endif
