#include "conv_u8_depthwise_neon.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE8 qir_neon_store8_u8
/* template: end */

/* Eight channels of a row of windows of three rows and columns, `step` columns apart. A column's codes are loaded once
   and stay in registers for every window that holds it. Two products are added up in 16 bits: at most 128 * 128 +
   128 * 127 < 2^15, because the binder refuses two weights -128 in one such pair. */
static QIR_INLINE void qir_conv_u8s8_depthwise_3x3_T_neon_row(const int32_t step, const qir_depthwise_rows *rows,
                                                              const int8_t *w, ptrdiff_t channels, const int32_t *bias,
                                                              const float *multiplier, qir_requant4 q, int8x8_t filler,
                                                              int32_t columns, QIR_Y *QIR_RESTRICT y) {
    const uint8_t *top = rows->row[0], *middle = rows->row[1], *bottom = rows->row[2];
    const ptrdiff_t next_top = rows->next[0], next_middle = rows->next[1], next_bottom = rows->next[2];
    const int8x8_t w0 = vld1_s8(w), w1 = vld1_s8(w + channels), w2 = vld1_s8(w + 2 * channels);
    const int8x8_t w3 = vld1_s8(w + 3 * channels), w4 = vld1_s8(w + 4 * channels), w5 = vld1_s8(w + 5 * channels);
    const int8x8_t w6 = vld1_s8(w + 6 * channels), w7 = vld1_s8(w + 7 * channels), w8 = vld1_s8(w + 8 * channels);
    const uint32_t inside = (uint32_t)rows->inside;
    int8x8_t top0, middle0, bottom0, top1 = filler, middle1 = filler, bottom1 = filler, top2, middle2, bottom2;
    uint32_t at = (uint32_t)rows->column;
#define QIR_COLUMN(n)                                        \
    if (at < inside) {                                       \
        top##n = qir_depthwise_signed8(vld1_u8(top));        \
        middle##n = qir_depthwise_signed8(vld1_u8(middle));  \
        bottom##n = qir_depthwise_signed8(vld1_u8(bottom));  \
    } else {                                                 \
        top##n = middle##n = bottom##n = filler;             \
    }                                                        \
    top += next_top, middle += next_middle, bottom += next_bottom, ++at;
#define QIR_ADD(pair)                                 \
    low = vaddw_s16(low, vget_low_s16(pair));         \
    high = vaddw_s16(high, vget_high_s16(pair));
#define QIR_WINDOW(a, b, c)                                                                                \
    {                                                                                                      \
        int32x4_t low = vld1q_s32(bias), high = vld1q_s32(bias + 4);                                       \
        int16x8_t pair;                                                                                    \
        if (step == 2) {                                                                                   \
            QIR_COLUMN(b)                                                                                  \
        }                                                                                                  \
        QIR_COLUMN(c)                                                                                      \
        pair = vmlal_s8(vmull_s8(top##a, w0), top##b, w1);                                                 \
        QIR_ADD(pair)                                                                                      \
        pair = vmlal_s8(vmull_s8(top##c, w2), middle##a, w3);                                              \
        QIR_ADD(pair)                                                                                      \
        pair = vmlal_s8(vmull_s8(middle##b, w4), middle##c, w5);                                           \
        QIR_ADD(pair)                                                                                      \
        pair = vmlal_s8(vmull_s8(bottom##a, w6), bottom##b, w7);                                           \
        QIR_ADD(pair)                                                                                      \
        pair = vmull_s8(bottom##c, w8);                                                                    \
        QIR_ADD(pair)                                                                                      \
        QIR_STORE8(low, high, vld1q_f32(multiplier), vld1q_f32(multiplier + 4), q, y);                     \
        y += channels;                                                                                     \
    }                                                                                                      \
    if (--columns == 0) {                                                                                  \
        return;                                                                                            \
    }
    QIR_COLUMN(0)
    if (step == 1) {
        QIR_COLUMN(1)
    }
    for (;;) { /* a window's last columns are the next one's first, so the three change places */
        QIR_WINDOW(0, 1, 2)
        if (step == 1) {
            QIR_WINDOW(1, 2, 0)
            QIR_WINDOW(2, 0, 1)
        } else {
            QIR_WINDOW(2, 0, 1)
            QIR_WINDOW(1, 2, 0)
        }
    }
#undef QIR_COLUMN
#undef QIR_ADD
#undef QIR_WINDOW
}

/* Windows of three by three taps, one or two columns apart, and at least eight channels, the last of which may lap over
   those before. */
void qir_conv_u8s8_depthwise_3x3_T__neon(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                                         const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                         const float *QIR_RESTRICT multiplier, QIR_Y *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const qir_requant4 q = qir_widen_requant4(&s->requant);
    const int32_t channels = s->groups, columns = win->out[2];
    const uint8x8_t zero = vdup_n_u8((uint8_t)s->x_zero_point);
    uint8_t outside[8];
    int32_t row, channel;
    vst1_u8(outside, zero);
    for (row = 0; row < win->batch * win->out[1]; ++row, y += (ptrdiff_t)columns * channels) {
        for (channel = 0; channel < channels; channel += 8) {
            const int32_t c = channel + 8 <= channels ? channel : channels - 8;
            const qir_depthwise_rows rows =
                qir_depthwise_rows_under(s, x + c, row / win->out[1], row % win->out[1], outside);
            if (win->stride[2] == 1) {
                qir_conv_u8s8_depthwise_3x3_T_neon_row(1, &rows, w + c, channels, bias + c, multiplier + c, q,
                                                       qir_depthwise_signed8(zero), columns, y + c);
            } else {
                qir_conv_u8s8_depthwise_3x3_T_neon_row(2, &rows, w + c, channels, bias + c, multiplier + c, q,
                                                       qir_depthwise_signed8(zero), columns, y + c);
            }
        }
    }
}
