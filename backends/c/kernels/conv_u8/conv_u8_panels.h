/* Blocks of a convolution as rows of a product with panels of weights. */
#ifndef QIR_CONV_U8_PANELS_H
#define QIR_CONV_U8_PANELS_H

#include "../../runtime/qir_panels.h"
#include "conv_u8_blocks.h"

/* Bytes from the codes of an opened block's first output pixel to those of the first one of a row. */
static inline ptrdiff_t qir_conv_u8_down(const qir_conv_u8_blocks *b, const void *const *segment, int32_t row) {
    return (const uint8_t *)segment[(ptrdiff_t)row * b->segments] - (const uint8_t *)segment[0];
}

/* Lists the output pixels of an opened block, those of a row by as many as go together; those that are left of two rows
   go together, where there are any once more. */
static inline int32_t qir_conv_u8_list(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b,
                                       const qir_conv_u8_block *at, const qir_panel_tiles *k, int32_t wide,
                                       const void *const *segment, qir_row *row) {
    const ptrdiff_t pixel = (ptrdiff_t)s->groups * s->in_channels * (wide % 2 ? 2 : 1);
    const ptrdiff_t channels = (ptrdiff_t)s->groups * s->out_channels, right = s->window.stride[2] * pixel;
    const ptrdiff_t below = b->apart[2] * channels, beside = b->apart[3] * channels;
    const int32_t more = qir_conv_u8_once_more(s, at, wide);
    qir_row *to = row;
    int32_t r, column;
    for (r = 0; r < at->rows; ++r) {
        const int32_t left = more && (r | 1) < at->rows, columns = at->columns - left;
        const ptrdiff_t down = qir_conv_u8_down(b, segment, r);
        for (column = 0; column < columns; ++column, ++to) {
            to->from = down + column * right;
            to->to = r * below + column * beside;
            to->offset = 0;
        }
        for (; column % k->together; ++column, ++to) {
            *to = to[-1];
        }
        if (left && r % 2) {
            to[0].from = to[1].from = qir_conv_u8_down(b, segment, r - 1) +
                                      qir_conv_u8_extent(&s->window, 2, at->columns) * pixel;
            to[1].to = r * below + columns * beside;
            to[0].to = to[1].to - below;
            to[0].offset = to[1].offset = 0;
            to += 2;
        }
    }
    return (int32_t)(to - row);
}

/* Writes `groups` times 64 weights of few bits as int8. */
typedef void qir_conv_u8_unpack(const uint8_t *from, ptrdiff_t groups, int8_t *to);

/* Block by block, a panel of weights at a time, of `bits` bits each; `unpack` where these are fewer than eight. `wide`:
   how codes are copied, see qir_conv_u8_put. sum, other: null where results are no sums. scratch: room for an unpacked panel, a list of the block's pixels, each row
   of them filled up to as many as go together, then what qir_conv_u8_open wants. */
static inline void qir_conv_u8_by_panels(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b,
                                         const qir_panel_tiles *k, int32_t wide, const uint8_t *x, const void *w,
                                         int32_t bits, qir_conv_u8_unpack *unpack, const int32_t *bias,
                                         const float *multiplier, const qir_sum *sum, const uint8_t *other,
                                         void *scratch, void *y) {
    const int32_t panels = (s->out_channels + 15) / 16, columns = (b->columns + k->together - 1) / k->together;
    const ptrdiff_t panel = (ptrdiff_t)b->segments * b->steps * k->step;
    int8_t *const unpacked = (int8_t *)scratch;
    qir_row *const list = (qir_row *)(void *)(unpacked + (unpack ? panel : 0));
    const void **const segment = (const void **)(void *)(list + (ptrdiff_t)b->rows * columns * k->together);
    qir_conv_u8_block at = qir_conv_u8_first_block(s, b);
    qir_panel p;
    p.segment = segment;
    p.segments = b->segments;
    p.steps = b->steps;
    p.requant = &s->requant;
    p.sum = sum;
    p.other = 0;
    for (; qir_conv_u8_block_left(s, &at); qir_conv_u8_next_block(s, b, &at)) {
        const ptrdiff_t to = qir_conv_u8_pixel(b, &at) * s->groups * s->out_channels;
        int32_t rows, group, i;
        qir_conv_u8_open(s, b, &at, x, wide, segment);
        rows = qir_conv_u8_list(s, b, &at, k, wide, segment, list);
        for (group = 0; group < s->groups; ++group) {
            p.from = (ptrdiff_t)group * s->in_channels * (wide % 2 ? 2 : 1);
            for (i = 0; i < panels; ++i) {
                const ptrdiff_t place = (ptrdiff_t)group * panels + i;
                const ptrdiff_t first = to + (ptrdiff_t)group * s->out_channels + i * 16;
                p.weights = unpack ? unpacked : (const int8_t *)w + place * panel;
                if (unpack) {
                    unpack((const uint8_t *)w + place * (panel / 8 * bits), panel / 64, unpacked);
                }
                p.bias = bias + place * 16;
                p.multiplier = multiplier + place * 16;
                p.channels = s->out_channels - i * 16;
                if (sum) {
                    p.other = other + first;
                }
                qir_by_panel(&p, k, list, rows, (uint8_t *)y + first * k->size);
            }
        }
    }
}

#endif
