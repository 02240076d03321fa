/* The codes under a window, in runs that lie together. */
#ifndef QIR_CONV_U8_WINDOW_H
#define QIR_CONV_U8_WINDOW_H

#include "../../runtime/qir_vector.h"
#include "conv_u8.h"

/* Takes `count` codes, or as often the code of zero where there are none. */
typedef void qir_conv_u8_take(void *line, const uint8_t *from, int32_t count);

/* Taps whose codes lie together. */
static inline int32_t qir_conv_u8_together(const qir_conv_u8_shape *s) {
    return s->groups == 1 && s->window.dilation[2] == 1 ? s->window.kernel[2] : 1;
}

/* An output pixel, and where its window starts. */
typedef struct {
    int32_t alone; /* windows are single pixels, as they follow each other in x */
    int32_t number;
    int32_t sample;
    int32_t out[3];
    int32_t start[3];
} qir_conv_u8_place;

/* The first output pixel, and the next one. */
static inline qir_conv_u8_place qir_conv_u8_first(const qir_conv_u8_shape *s) {
    const qir_window *const w = &s->window;
    const int same = w->in[0] == w->out[0] && w->in[1] == w->out[1] && w->in[2] == w->out[2];
    const int32_t alone = same && s->groups == 1 && w->kernel[0] * w->kernel[1] * w->kernel[2] == 1;
    const qir_conv_u8_place place = {alone, 0, 0, {0, 0, 0}, {-w->pad[0], -w->pad[1], -w->pad[2]}};
    return place;
}

static inline void qir_conv_u8_next(const qir_window *w, qir_conv_u8_place *place) {
    int32_t axis;
    ++place->number;
    for (axis = place->alone ? -1 : 2; axis >= 0; --axis) {
        place->start[axis] += w->stride[axis];
        if (++place->out[axis] < w->out[axis]) {
            return;
        }
        place->out[axis] = 0;
        place->start[axis] = -w->pad[axis];
    }
    ++place->sample;
}

/* Windows of which no tap is outside the input: as many starts along each axis, and codes between neighbours along it. */
typedef struct {
    uint32_t starts[3];
    ptrdiff_t step[3];
} qir_conv_u8_insides;

static inline qir_conv_u8_insides qir_conv_u8_all_inside(const qir_conv_u8_shape *s) {
    const qir_window *const w = &s->window;
    qir_conv_u8_insides all;
    int32_t axis;
    all.step[2] = (ptrdiff_t)s->groups * s->in_channels;
    all.step[1] = all.step[2] * w->in[2];
    all.step[0] = all.step[1] * w->in[1];
    for (axis = 0; axis < 3; ++axis) {
        const int32_t starts = w->in[axis] - (w->kernel[axis] - 1) * w->dilation[axis];
        all.starts[axis] = starts > 0 ? (uint32_t)starts : 0;
    }
    return all;
}

/* The first code under a window; NULL where a tap is outside the input. */
static QIR_INLINE const uint8_t *qir_conv_u8_inside(const qir_window *w, const qir_conv_u8_insides *all, const uint8_t *x,
                                                    const qir_conv_u8_place *place) {
    const int32_t *const start = place->start;
    if (place->alone) {
        return x + place->number * all->step[2];
    }
    if ((uint32_t)start[0] >= all->starts[0] || (uint32_t)start[1] >= all->starts[1]
        || (uint32_t)start[2] >= all->starts[2]) {
        return NULL;
    }
    return x + (place->sample * w->in[0] + start[0]) * all->step[0] + start[1] * all->step[1] + start[2] * all->step[2];
}

/* Has the codes under one window taken, for one group: [taps][in_channels]. */
static QIR_INLINE void qir_conv_u8_take_window(const qir_conv_u8_shape *s, const uint8_t *x, const qir_conv_u8_place *place,
                                               int32_t group, qir_conv_u8_take *take, void *line) {
    const qir_window *const win = &s->window;
    const int32_t channels = s->in_channels, together = qir_conv_u8_together(s), count = together * channels;
    const int32_t across = win->in[2], right = together * win->dilation[2], left = place->start[2];
    const int32_t clipped = left < 0 || left + (win->kernel[2] - 1) * win->dilation[2] >= across;
    const ptrdiff_t all = (ptrdiff_t)s->groups * channels;
    int32_t plane = place->start[0], a, b, c;
    if (place->alone) {
        take(line, x + (ptrdiff_t)place->number * channels, channels);
        return;
    }
    for (a = win->kernel[0]; a > 0; --a, plane += win->dilation[0]) {
        int32_t row = place->start[1];
        for (b = win->kernel[1]; b > 0; --b, row += win->dilation[1]) {
            const int inside = plane >= 0 && plane < win->in[0] && row >= 0 && row < win->in[1];
            const ptrdiff_t pixel = (((ptrdiff_t)place->sample * win->in[0] + plane) * win->in[1] + row) * across;
            int32_t column = left;
            for (c = win->kernel[2]; c > 0; c -= together, column += right) {
                const ptrdiff_t from = (pixel + column) * all + group * channels;
                const int32_t before = column < 0 ? -column : 0;
                const int32_t after = column + together > across ? column + together - across : 0;
                if (!inside || before + after >= together) {
                    take(line, NULL, count);
                } else if (clipped) {
                    take(line, NULL, before * channels);
                    take(line, x + from + before * all, count - (before + after) * channels);
                    take(line, NULL, after * channels);
                } else {
                    take(line, x + from, count);
                }
            }
        }
    }
}

#endif
