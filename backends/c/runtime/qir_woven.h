/* Woven codes: the pixels of a tile side by side, 16 bytes of each, then the next 16 of each,

       [tile][chunk][pixel][16 bytes]

   so that a tile reads its codes one after the other, at offsets that stand in the instructions. As they lie in an image
   they may be a power of two apart, and drive each other out of the first cache.

   Where products are of 16 bits, half of them become sums (Winograd, A New Algorithm for Inner Product, IEEE
   Transactions on Computers C-17, 1968): from

       (x0 + w1) (x1 + w0) = x0 w0 + x1 w1 + x0 x1 + w0 w1

   follows  sum of x w = sum of (x0 + w1) (x1 + w0) - sum of x0 x1 - sum of w0 w1,  whose second sum is the same for all
   channels, an offset of the pixel, and whose third one is the same for all pixels and goes into the bias. A processor
   that multiplies with two of its vector units and adds with four does that sooner. Sums of a code and a weight lie
   within -128 .. 382; what leaves 32 bits on the way comes back, modulo 2^32. */
#ifndef QIR_WOVEN_H
#define QIR_WOVEN_H

#include "qir_heights.h"

/* Pixels that a tile takes for some of them: for the few that a small image leaves there are no tiles of their own. */
static inline int32_t qir_woven_rows(int32_t pixels, int32_t most) {
    const int32_t least = most > 4 ? 4 : 3;
    return pixels < least ? least : pixels;
}

/* What tiles compute: sums of products with the weights of sixteen channels. */
typedef struct {
    int32_t chunks;        /* of a pixel's codes */
    int32_t again;         /* steps on codes of steps before, where there may be any */
    const int32_t *number; /* of these */
    const int8_t *weights; /* [step][channel][codes of a step], of 16 bits where QIR_STEP_BYTES says so */
    const char *next;      /* weights that come next, which are fetched meanwhile, */
    ptrdiff_t apart;       /* so many bytes a chunk */
    const int32_t *bias;
} qir_woven;

#endif
