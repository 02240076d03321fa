/* Tiles of pixels by channels: what the kernels on panels of weights share.

   A pixel here is whatever has a row of the product: its codes go by *steps* of four bytes, which lie anywhere, but for
   every pixel in the same places from its first one. Pixels are a list, so that a tile may take them from several rows of
   an image. */
#ifndef QIR_TILES_H
#define QIR_TILES_H

#include "qir_panels.h"
#include "qir_sum.h"

typedef struct {
    const uint8_t *x;
    const qir_row *pixels;
    const int32_t *places; /* of the steps: bytes from a pixel's first one */
    int32_t steps;
    int32_t run;           /* steps whose sums fit 16 bits, where they are added there */
    int32_t channels;      /* that are left from the first panel on */
    const int8_t *weights; /* [panel of 16 channels][step][channel][codes of a step] */
    ptrdiff_t panel;       /* bytes from panel to panel */
    const int32_t *bias;
    const float *multiplier;
    const qir_requant *requant;
    const qir_sum *sum;    /* where results are sums with other codes */
    const uint8_t *other;  /* these, as y is */
} qir_tiles;

/* Pixels are stored by twos or by fours; one that lacks its fellows is stored again. */
#define QIR_PAIRS_1(end) end(0, 0)
#define QIR_PAIRS_2(end) end(0, 1)
#define QIR_PAIRS_3(end) QIR_PAIRS_2(end) end(2, 2)
#define QIR_PAIRS_4(end) QIR_PAIRS_2(end) end(2, 3)
#define QIR_PAIRS_5(end) QIR_PAIRS_4(end) end(4, 4)
#define QIR_PAIRS_6(end) QIR_PAIRS_4(end) end(4, 5)
#define QIR_PAIRS_7(end) QIR_PAIRS_6(end) end(6, 6)
#define QIR_PAIRS_8(end) QIR_PAIRS_6(end) end(6, 7)
#define QIR_FOURS_1(end) end(0, 0, 0, 0)
#define QIR_FOURS_2(end) end(0, 1, 1, 1)
#define QIR_FOURS_3(end) end(0, 1, 2, 2)
#define QIR_FOURS_4(end) end(0, 1, 2, 3)
#define QIR_FOURS_5(end) QIR_FOURS_4(end) end(4, 4, 4, 4)
#define QIR_FOURS_6(end) QIR_FOURS_4(end) end(4, 5, 5, 5)
#define QIR_FOURS_7(end) QIR_FOURS_4(end) end(4, 5, 6, 6)
#define QIR_FOURS_8(end) QIR_FOURS_4(end) end(4, 5, 6, 7)

#endif
