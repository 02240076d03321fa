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

/* Has the codes under one window taken, for one group: [taps][in_channels]. Windows that are pixels, one after the other,
   have a stride of 0. */
static QIR_INLINE void qir_conv_u8_take_window(const qir_conv_u8_shape *s, const uint8_t *x, int32_t pixel, int32_t group,
                                               qir_conv_u8_take *take, void *line) {
    const qir_window *const win = &s->window;
    const int32_t channels = s->in_channels, together = qir_conv_u8_together(s), all = s->groups * channels;
    const ptrdiff_t row = (ptrdiff_t)win->in[2] * all;
    int32_t a, b, c;
    ptrdiff_t origin;
    qir_taps t;
    if (win->stride[2] == 0) {
        take(line, x + (ptrdiff_t)pixel * channels, channels);
        return;
    }
    qir_find_taps(win, pixel, &t);
    origin = qir_under_tap(win, &t, 0, 0, 0) * all + group * channels;
    for (a = 0; a < win->kernel[0]; ++a) {
        for (b = 0; b < win->kernel[1]; ++b) {
            const int inside = a >= t.first[0] && a < t.last[0] && b >= t.first[1] && b < t.last[1];
            const ptrdiff_t from = origin + (a * win->dilation[0] * win->in[1] + b * win->dilation[1]) * row;
            for (c = 0; c < win->kernel[2]; c += together) {
                const int32_t last = t.last[2] - c < together ? t.last[2] - c : together;
                const int32_t first = t.first[2] > c ? t.first[2] - c : 0;
                const int32_t begin = inside && first < last ? first : together, end = begin < together ? last : together;
                if (begin) {
                    take(line, NULL, begin * channels);
                }
                if (begin < end) {
                    take(line, x + from + (c + begin) * win->dilation[2] * all, (end - begin) * channels);
                }
                if (end < together) {
                    take(line, NULL, (together - end) * channels);
                }
            }
        }
    }
}

#endif
