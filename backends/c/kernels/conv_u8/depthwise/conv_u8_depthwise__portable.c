#include "../conv_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
#define QIR_X uint8_t
#define QIR_ACC int32_t
#define QIR_W int8_t
#define QIR_TAP int8_t
#define QIR_TAPS qir_conv_u8s8_depthwise_T_taps
#define QIR_SPAN channels
#define QIR_STEP channels
#define QIR_TILE 1
/* template: end */

/* Weights that need no unpacking. */
static inline const QIR_TAP *qir_conv_u8s8_depthwise_T_taps(const QIR_W *w, int32_t taps, int32_t first,
                                                            QIR_TAP *tile) {
    (void)taps;
    (void)tile;
    return (const QIR_TAP *)(const void *)w + first;
}

/* Neighbouring channels of one output pixel; x and w start at the first of them, `all` is the number of channels.
   The differences fit int16, and so said they become vector products of int16. */
static inline void qir_conv_u8s8_depthwise_T_block(const qir_conv_u8_shape *s, const qir_taps *t, const QIR_X *x,
                                                   const QIR_TAP *w, int32_t w_step, const QIR_ACC *bias,
                                                   const float *multiplier, int32_t width, QIR_Y *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int16_t zero = (int16_t)s->x_zero_point;
    const ptrdiff_t all = s->groups, step = all * win->dilation[2];
    QIR_ACC acc[QIR_NEIGHBOURS];
    int32_t a, b, c, j;
    QIR_EACH_NEIGHBOUR
    for (j = 0; j < width; ++j) {
        acc[j] = bias[j];
    }
    for (a = t->first[0]; a < t->last[0]; ++a) {
        for (b = t->first[1]; b < t->last[1]; ++b) {
            const QIR_X *from = x + qir_under_tap(win, t, a, b, t->first[2]) * all;
            const QIR_TAP *tap = w + ((ptrdiff_t)(a * win->kernel[1] + b) * win->kernel[2] + t->first[2]) * w_step;
            for (c = t->first[2]; c < t->last[2]; ++c, from += step, tap += w_step) {
                QIR_EACH_NEIGHBOUR
                for (j = 0; j < width; ++j) {
                    const int16_t v = (int16_t)(from[j] - zero);
                    acc[j] += v * (int16_t)tap[j];
                }
            }
        }
    }
    QIR_EACH_NEIGHBOUR
    for (j = 0; j < width; ++j) {
        QIR_STORE(acc[j], multiplier[j], &s->requant, y + j);
    }
}

/* One input and one output channel a group. Weights: [kernel taps][channels], or packed for QIR_TAPS, which gives those of
   QIR_SPAN channels at a time, QIR_STEP apart. Channels go by QIR_NEIGHBOURS, whose accumulators stay in registers over the
   taps. */
void qir_conv_u8s8_depthwise_T__portable(const qir_conv_u8_shape *s, const QIR_X *QIR_RESTRICT x,
                                         const QIR_W *QIR_RESTRICT w, const QIR_ACC *QIR_RESTRICT bias,
                                         const float *QIR_RESTRICT multiplier, QIR_Y *QIR_RESTRICT y) {
    const int32_t channels = s->groups, pixels = qir_pixels(&s->window);
    const int32_t all_taps = s->window.kernel[0] * s->window.kernel[1] * s->window.kernel[2];
    QIR_TAP tile[QIR_TILE];
    int32_t first, pixel, i;
    for (first = 0; first < channels; first += QIR_SPAN) {
        const int32_t end = channels - first < QIR_SPAN ? channels : first + QIR_SPAN;
        const QIR_TAP *const taps = QIR_TAPS(w, all_taps, first, tile);
        for (pixel = 0; pixel < pixels; ++pixel) {
            QIR_Y *const to = y + (ptrdiff_t)pixel * channels;
            qir_taps t;
            qir_find_taps(&s->window, pixel, &t);
            for (i = first; i + QIR_NEIGHBOURS <= end; i += QIR_NEIGHBOURS) {
                qir_conv_u8s8_depthwise_T_block(s, &t, x + i, taps + (i - first), QIR_STEP, bias + i, multiplier + i,
                                                QIR_NEIGHBOURS, to + i);
            }
            if (i < end) {
                qir_conv_u8s8_depthwise_T_block(s, &t, x + i, taps + (i - first), QIR_STEP, bias + i, multiplier + i,
                                                end - i, to + i);
            }
        }
    }
}
