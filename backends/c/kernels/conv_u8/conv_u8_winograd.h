/* What Winograd's kernel wants of an instruction set. */
#ifndef QIR_CONV_U8_WINOGRAD_H
#define QIR_CONV_U8_WINOGRAD_H

#include "../../runtime/qir_woven.h"

/* How the tiles of a block are multiplied. */
typedef struct {
    qir_heights cut;  /* into passes of as many as go together */
    int32_t depth;    /* input channels, filled up */
    int32_t channels; /* of the output, that are left */
    int32_t apart;    /* bytes of what comes next to fetch with each eight input channels */
    ptrdiff_t pitch;  /* from one tile's sums to the next one's */
} qir_winograd_passes;

/* Products at one place, as each instruction set has them under the name QIR_PLACE: of a block's tiles, their codes x,
   [tile][depth] or woven pass by pass (runtime/qir_woven.h), with the weights of sixteen output channels give the sums
   y [tile, pitch apart][16], modulo 2^32. offset: [tile], where products are crossed. Weights that come next lie at `next`: asked for
   in time, they come as fast as a cache far away can give them. */

/* 9 times this is 1 modulo 2^32. */
#define QIR_WINOGRAD_NINTH 0x38e38e39

#endif
