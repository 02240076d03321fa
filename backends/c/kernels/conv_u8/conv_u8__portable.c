#include "../../runtime/qir_dot.h"
#include "conv_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
#define QIR_X uint8_t
#define QIR_WIDEN qir_widen
#define QIR_ACC int32_t
#define QIR_W int8_t
#define QIR_ROWS 2
#define QIR_MOST_ROWS 2
#define QIR_LINE qir_line_s8
#define QIR_DOT qir_dot_rows
#define QIR_SUMS 0
#define QIR_SUMMED
#define QIR_SUM_CODES qir_sum_codes
/* template: end */

/* The activations under one window, for one group, as a row [taps][in_channels]; zeros outside the input. */
static void qir_conv_u8s8_T_row(const qir_conv_u8_shape *s, const QIR_X *x, int32_t pixel, int32_t group,
                                int16_t *row) {
    const qir_window *const win = &s->window;
    const int32_t channels = s->in_channels, zero = s->x_zero_point;
    int32_t a, b, c;
    qir_taps t;
    qir_find_taps(win, pixel, &t);
    for (a = 0; a < win->kernel[0]; ++a) {
        for (b = 0; b < win->kernel[1]; ++b) {
            const int inside = a >= t.first[0] && a < t.last[0] && b >= t.first[1] && b < t.last[1];
            if (inside && s->groups == 1 && win->dilation[2] == 1 && t.first[2] == 0 && t.last[2] == win->kernel[2]) {
                QIR_WIDEN(x + qir_under_tap(win, &t, a, b, 0) * channels, zero, channels * win->kernel[2], row);
                row += (ptrdiff_t)channels * win->kernel[2];
                continue;
            }
            for (c = 0; c < win->kernel[2]; ++c, row += channels) {
                if (inside && c >= t.first[2] && c < t.last[2]) {
                    const ptrdiff_t from = qir_under_tap(win, &t, a, b, c) * s->groups + group;
                    QIR_WIDEN(x + from * channels, zero, channels, row);
                } else {
                    (void)memset(row, 0, (size_t)channels * sizeof(int16_t));
                }
            }
        }
    }
}

/* Sixteen accumulators, or what is left, to results. */
static inline void qir_conv_u8s8_T_store(const qir_requant *q, const QIR_ACC *QIR_RESTRICT acc,
                                         const QIR_ACC *QIR_RESTRICT bias, const float *QIR_RESTRICT multiplier,
                                         int32_t width, QIR_Y *QIR_RESTRICT y) {
    int32_t j;
    QIR_LANES
    for (j = 0; j < width; ++j) {
        QIR_STORE(bias[j] + acc[j], multiplier[j], q, y + j);
    }
}

/* Weights: [group][out_channels] rows of QIR_LINE bytes: [kernel taps][in_channels] codes; bias and multiplier:
   [group][out_channels]. scratch holds QIR_ROWS rows of int16 [taps][in_channels]: pixels go by as many, channels by
   sixteen. sum, other: where results are sums with other codes, which lie as those of y do and may share their bytes. */
void qir_conv_u8s8_T__portable(const qir_conv_u8_shape *s, const QIR_X *QIR_RESTRICT x,
                               const QIR_W *QIR_RESTRICT w, const QIR_ACC *QIR_RESTRICT bias,
                               const float *QIR_RESTRICT multiplier, QIR_SUMMED void *QIR_RESTRICT scratch, QIR_Y *y) {
    const int32_t depth = s->window.kernel[0] * s->window.kernel[1] * s->window.kernel[2] * s->in_channels;
    const int32_t pixels = qir_pixels(&s->window), channels = s->out_channels;
    const ptrdiff_t stride = (ptrdiff_t)s->groups * channels;
    int16_t *const row = (int16_t *)scratch;
    #if QIR_SUMS
    const qir_requant *const q = &sum->requant;
    #else
    const qir_requant *const q = &s->requant;
    #endif
    int32_t pixel, group, channel, i;
    for (pixel = 0; pixel < pixels; pixel += QIR_ROWS) {
        const int32_t rows = pixels - pixel < QIR_ROWS ? pixels - pixel : QIR_ROWS;
        for (group = 0; group < s->groups; ++group) {
            const ptrdiff_t first = (ptrdiff_t)group * channels;
            for (i = 0; i < rows; ++i) {
                qir_conv_u8s8_T_row(s, x, pixel + i, group, row + (ptrdiff_t)i * depth);
            }
            for (channel = 0; channel < channels; channel += 16) {
                const int32_t width = channels - channel < 16 ? channels - channel : 16;
                const ptrdiff_t at = first + channel;
                QIR_ACC acc[16 * QIR_MOST_ROWS];
                QIR_DOT(row, rows, w + at * QIR_LINE(depth), depth, width, acc);
                for (i = 0; i < rows; ++i) {
                    const ptrdiff_t place = (pixel + i) * stride + at;
                    #if QIR_SUMS
                    QIR_Y to[16];
                    #else
                    QIR_Y *const to = y + place;
                    #endif
                    if (width == 16) {
                        qir_conv_u8s8_T_store(q, acc + 16 * i, bias + at, multiplier + at, 16, to);
                    } else {
                        qir_conv_u8s8_T_store(q, acc + 16 * i, bias + at, multiplier + at, width, to);
                    }
                    #if QIR_SUMS
                    QIR_SUM_CODES(sum, &s->requant, to, other + place, width, y + place);
                    #endif
                }
            }
        }
    }
}
