#include "conv_transpose_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
#define QIR_X uint8_t
#define QIR_ACC int32_t
#define QIR_W int8_t
#define QIR_TAP int8_t
#define QIR_GROUP 8
#define QIR_EIGHT qir_conv_transpose_u8s8_T_eight
/* template: end */

/* Weights that need no unpacking. */
static inline const QIR_TAP *qir_conv_transpose_u8s8_T_eight(const QIR_W *w, QIR_TAP *room) {
    (void)room;
    return (const QIR_TAP *)(const void *)w;
}

/* Weights: [group][ceil(out_channels / 8)][kernel taps][in_channels][8], zeros beyond the last channel; eight codes
   take QIR_GROUP elements. */
void qir_conv_transpose_u8s8_T__portable(const qir_conv_u8_shape *s, const QIR_X *QIR_RESTRICT x,
                                         const QIR_W *QIR_RESTRICT w, const QIR_ACC *QIR_RESTRICT bias,
                                         const float *QIR_RESTRICT multiplier, QIR_Y *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const ptrdiff_t tap_bytes = (ptrdiff_t)s->in_channels * QIR_GROUP;
    const ptrdiff_t in_all = (ptrdiff_t)s->groups * s->in_channels;
    const int32_t channels = s->in_channels, zero = s->x_zero_point, pixels = qir_pixels(win);
    int32_t pixel;
    for (pixel = 0; pixel < pixels; ++pixel) {
        const int32_t o2 = pixel % win->out[2], o1 = pixel / win->out[2] % win->out[1];
        const int32_t o0 = pixel / win->out[2] / win->out[1] % win->out[0];
        const ptrdiff_t sample = pixel / win->out[2] / win->out[1] / win->out[0];
        const QIR_W *tap = w;
        int32_t channel = 0, g;
        for (g = 0; g < s->groups; ++g) {
            int32_t left;
            for (left = s->out_channels; left > 0; left -= 8) {
                const int32_t width = left < 8 ? left : 8;
                QIR_ACC acc[8] = {0, 0, 0, 0, 0, 0, 0, 0};
                int32_t a, b, c, i, j;
                for (a = 0; a < win->kernel[0]; ++a) {
                    const int32_t p0 = qir_conv_transpose_source(win, 0, o0, a);
                    for (b = 0; b < win->kernel[1]; ++b) {
                        const int32_t p1 = qir_conv_transpose_source(win, 1, o1, b);
                        for (c = 0; c < win->kernel[2]; ++c, tap += tap_bytes) {
                            const int32_t p2 = qir_conv_transpose_source(win, 2, o2, c);
                            if (p0 >= 0 && p1 >= 0 && p2 >= 0) {
                                const ptrdiff_t from = ((sample * win->in[0] + p0) * win->in[1] + p1) * win->in[2] + p2;
                                const QIR_X *const codes = x + from * in_all + (ptrdiff_t)g * channels;
                                for (i = 0; i < channels; ++i) {
                                    const int32_t v = codes[i] - zero;
                                    QIR_TAP room[8];
                                    const QIR_TAP *const eight = QIR_EIGHT(tap + (ptrdiff_t)i * QIR_GROUP, room);
                                    QIR_LANES
                                    for (j = 0; j < 8; ++j) {
                                        acc[j] += v * eight[j];
                                    }
                                }
                            }
                        }
                    }
                }
                for (j = 0; j < width; ++j, ++channel) {
                    QIR_STORE(bias[channel] + acc[j], multiplier[channel], &s->requant, y++);
                }
            }
        }
    }
}
