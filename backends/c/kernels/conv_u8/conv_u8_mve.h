/* Windows for convolutions on Helium. */
#ifndef QIR_CONV_U8_MVE_H
#define QIR_CONV_U8_MVE_H

#include "conv_u8_mve_rows.h"
#include "conv_u8_window.h"

/* The codes of a window less 128, where they lie as those of x do but for runs; `step` as of qir_conv_u8_insides. `first`:
   of taps inside the input, along each axis, and how many there are. */
static QIR_ALONE void qir_conv_u8_mve_rows(const qir_conv_u8_shape *s, const ptrdiff_t *step, const uint8_t *from,
                                           const int32_t *first, const int32_t *count, uint8_t *to) {
    const qir_window *const w = &s->window;
    const int32_t channels = s->in_channels, row = channels * w->kernel[2];
    int32_t k, l;
    to += (first[0] * w->kernel[1] + first[1]) * row + first[2] * channels;
    from += first[0] * w->dilation[0] * step[0] + first[1] * w->dilation[1] * step[1]
            + first[2] * w->dilation[2] * step[2];
    for (k = 0; k < count[0]; ++k, from += w->dilation[0] * step[0], to += w->kernel[1] * row) {
        if (qir_conv_u8_together(s) == w->kernel[2]) {
            qir_mve_signed(from, channels * count[2], count[1], w->dilation[1] * step[1], to, row);
            continue;
        }
        for (l = 0; l < count[1]; ++l) {
            qir_mve_signed(from + l * w->dilation[1] * step[1], channels, count[2], w->dilation[2] * step[2],
                           to + l * row, channels);
        }
    }
}

/* Likewise of any window: taps outside the input have the code of zero. */
static QIR_ALONE void qir_conv_u8_mve_window(const qir_conv_u8_shape *s, const ptrdiff_t *step, const uint8_t *x,
                                                 const qir_conv_u8_place *place, int32_t group, uint8_t *to) {
    const qir_window *const w = &s->window;
    int32_t first[3], count[3], axis;
    ptrdiff_t from = place->sample * w->in[0] * step[0] + group * s->in_channels;
    memset(to, s->x_zero_point ^ 128, (size_t)(w->kernel[0] * w->kernel[1] * w->kernel[2] * s->in_channels));
    for (axis = 0; axis < 3; ++axis) {
        const int32_t d = w->dilation[axis], start = place->start[axis], room = w->in[axis] - start;
        const int32_t end = room <= 0 ? 0 : (room + d - 1) / d;
        first[axis] = start < 0 ? (d - 1 - start) / d : 0;
        count[axis] = (end < w->kernel[axis] ? end : w->kernel[axis]) - first[axis];
        if (count[axis] <= 0) {
            return;
        }
        from += start * step[axis];
    }
    qir_conv_u8_mve_rows(s, step, x + from, first, count, to);
}

/* Pixels from one whose window is inside the input on that follow each other in its row and are such, too; `place` becomes
   that of the last one. */
static QIR_ALONE int32_t qir_conv_u8_mve_follow(const qir_window *w, const qir_conv_u8_insides *all,
                                                qir_conv_u8_place *place, int32_t left) {
    const int32_t stride = w->stride[2];
    int32_t count = left;
    if (place->alone) {
        place->number += count - 1;
    } else {
        const int32_t inside = ((int32_t)all->starts[2] - place->start[2] + stride - 1) / stride;
        count = w->out[2] - place->out[2];
        count = inside < count ? inside : count;
        place->start[2] += (count - 1) * stride;
        place->out[2] += count - 1;
    }
    return count;
}

#endif
