/* What Winograd's kernel wants of an instruction set. */
#ifndef QIR_CONV_U8_WINOGRAD_H
#define QIR_CONV_U8_WINOGRAD_H

#include "../../runtime/qir_vector.h"

/* Products at one place: of some tiles, their codes x [tile][input channels of all steps], with the weights of sixteen
   output channels, [step][...], give the sums y [tile][16], modulo 2^32. Weights that come next lie at `next`: asked for
   in time, `apart` bytes a step, they come as fast as a cache far away can give them. */
typedef void qir_winograd_tiles(int32_t steps, const int16_t *x, const int16_t *w, const char *next, int32_t apart,
                                int32_t *y);

/* Some bytes of each pixel of a rectangle. Neighbours are `step` bytes apart, and `row` of them
   make a row. */
QIR_SMALL static void qir_winograd_move(const uint8_t *from, ptrdiff_t from_step, int32_t from_row, int32_t rows,
                                        int32_t columns, int32_t bytes, uint8_t *to, ptrdiff_t to_step,
                                        int32_t to_row) {
    int32_t i, j;
    for (i = 0; i < rows; ++i) {
        for (j = 0; j < columns; ++j) {
            memcpy(to + (i * to_row + j) * to_step, from + (i * from_row + j) * from_step, (size_t)bytes);
        }
    }
}

/* 9 times this is 1 modulo 2^32. */
#define QIR_WINOGRAD_NINTH 0x38e38e39

#endif
