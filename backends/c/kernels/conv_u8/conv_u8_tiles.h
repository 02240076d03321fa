/* Blocks of a convolution as pixels and steps, for tiles. */
#ifndef QIR_CONV_U8_TILES_H
#define QIR_CONV_U8_TILES_H

#include "../../runtime/qir_tiles.h"
#include "conv_u8_blocks.h"

/* What of a block stays the same for all blocks of its size: where its pixels are, and the steps of a window. */
typedef struct {
    qir_row *pixels;           /* [rows][columns] */
    int32_t *places;             /* [segments][steps], [again] */
    const void **segments;       /* see qir_conv_u8_open */
} qir_conv_u8_lists;

/* The room for them in scratch: pixels, places, then what qir_conv_u8_open wants. */
static inline qir_conv_u8_lists qir_conv_u8_room(const qir_conv_u8_blocks *b, void *scratch) {
    qir_conv_u8_lists lists;
    lists.pixels = (qir_row *)scratch;
    lists.places = (int32_t *)(void *)(lists.pixels + (ptrdiff_t)b->rows * b->columns);
    lists.segments = (const void **)(void *)(lists.places + ((ptrdiff_t)b->segments * b->steps + b->again + 1) / 2 * 2);
    return lists;
}

/* Lists the pixels of an opened block. */
QIR_SMALL static void qir_conv_u8_list(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b,
                                       const qir_conv_u8_block *at, int32_t wide, const void *const *segments,
                                       qir_row *pixel) {
    const ptrdiff_t right = (ptrdiff_t)s->window.stride[2] * s->groups * s->in_channels << wide;
    const ptrdiff_t channels = (ptrdiff_t)s->groups * s->out_channels;
    int32_t row, column;
    for (row = 0; row < at->rows; ++row) {
        const ptrdiff_t down = (const uint8_t *)segments[(ptrdiff_t)row * b->segments] - (const uint8_t *)segments[0];
        for (column = 0; column < at->columns; ++column, ++pixel) {
            pixel->from = down + column * right;
            pixel->to = ((ptrdiff_t)row * b->apart[2] + (ptrdiff_t)column * b->apart[3]) * channels;
            pixel->offset = 0;
        }
    }
}

/* Lists them, and the steps of so many bytes each. */
static inline void qir_conv_u8_lay_out(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b,
                                    const qir_conv_u8_block *at, int32_t wide, int32_t bytes,
                                    qir_conv_u8_lists *lists) {
    const uint8_t *const first = (const uint8_t *)lists->segments[0];
    int32_t *place = lists->places;
    int32_t segment, step;
    qir_conv_u8_list(s, b, at, wide, lists->segments, lists->pixels);
    for (segment = 0; segment < b->segments; ++segment) {
        const int32_t start = (int32_t)((const uint8_t *)lists->segments[segment] - first);
        for (step = 0; step < b->steps; ++step) {
            *place++ = start + bytes * step;
        }
    }
}

#endif
