#include "conv_u8_depthwise_neon.h"

#if !defined(__ARM_FEATURE_DOTPROD)
#error "these kernels need dot products: build with -march=armv8.2-a+dotprod"
#endif

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE8 qir_neon_store8_u8
/* template: end */

/* Eight channels of four rows, the bytes of a channel's rows side by side: channels 0..3 and 4..7. */
typedef struct {
    int8x16_t low;
    int8x16_t high;
} qir_conv_u8s8_depthwise_3x3_T_dotprod_column;

static QIR_INLINE qir_conv_u8s8_depthwise_3x3_T_dotprod_column
qir_conv_u8s8_depthwise_3x3_T_dotprod_zip(int8x8_t a, int8x8_t b, int8x8_t c, int8x8_t d) {
    const int8x8_t none = vdup_n_s8(0);
    const int8x16_t even = vzip1q_s8(vcombine_s8(a, none), vcombine_s8(c, none));
    const int8x16_t odd = vzip1q_s8(vcombine_s8(b, none), vcombine_s8(d, none));
    qir_conv_u8s8_depthwise_3x3_T_dotprod_column column;
    column.low = vzip1q_s8(even, odd);
    column.high = vzip2q_s8(even, odd);
    return column;
}

/* Weights of a column of three taps with a zero below, and the same a row further down. */
static QIR_INLINE qir_conv_u8s8_depthwise_3x3_T_dotprod_column
qir_conv_u8s8_depthwise_3x3_T_dotprod_weights(const int8_t *w, ptrdiff_t channels) {
    return qir_conv_u8s8_depthwise_3x3_T_dotprod_zip(vld1_s8(w), vld1_s8(w + 3 * channels), vld1_s8(w + 6 * channels),
                                                     vdup_n_s8(0));
}

static QIR_INLINE int8x16_t qir_conv_u8s8_depthwise_3x3_T_dotprod_down(int8x16_t weights) {
    return vreinterpretq_s8_u32(vshlq_n_u32(vreinterpretq_u32_s8(weights), 8));
}

/* Eight channels of two rows of windows of three by three taps, one row and column apart. A column's four rows are put
   side by side once, for the windows of both rows. */
static QIR_INLINE void
qir_conv_u8s8_depthwise_3x3_T_dotprod_rows(const qir_depthwise_rows *rows, const int8_t *w, ptrdiff_t channels,
                                           const int32_t *bias, const float *multiplier, qir_requant4 q,
                                           int8x8_t filler, int32_t columns, QIR_Y *QIR_RESTRICT y) {
    const uint8_t *row0 = rows->row[0], *row1 = rows->row[1], *row2 = rows->row[2], *row3 = rows->row[3];
    const ptrdiff_t next0 = rows->next[0], next1 = rows->next[1], next2 = rows->next[2], next3 = rows->next[3];
    const ptrdiff_t below = columns * channels;
    const qir_conv_u8s8_depthwise_3x3_T_dotprod_column left = qir_conv_u8s8_depthwise_3x3_T_dotprod_weights(w, channels);
    const qir_conv_u8s8_depthwise_3x3_T_dotprod_column centre =
        qir_conv_u8s8_depthwise_3x3_T_dotprod_weights(w + channels, channels);
    const qir_conv_u8s8_depthwise_3x3_T_dotprod_column right =
        qir_conv_u8s8_depthwise_3x3_T_dotprod_weights(w + 2 * channels, channels);
    const int8x16_t left_low = qir_conv_u8s8_depthwise_3x3_T_dotprod_down(left.low);
    const int8x16_t left_high = qir_conv_u8s8_depthwise_3x3_T_dotprod_down(left.high);
    const int8x16_t centre_low = qir_conv_u8s8_depthwise_3x3_T_dotprod_down(centre.low);
    const int8x16_t centre_high = qir_conv_u8s8_depthwise_3x3_T_dotprod_down(centre.high);
    const int8x16_t right_low = qir_conv_u8s8_depthwise_3x3_T_dotprod_down(right.low);
    const int8x16_t right_high = qir_conv_u8s8_depthwise_3x3_T_dotprod_down(right.high);
    const int8x16_t padding = vcombine_s8(filler, filler);
    const uint32_t inside = (uint32_t)rows->inside;
    qir_conv_u8s8_depthwise_3x3_T_dotprod_column column0, column1, column2;
    uint32_t at = (uint32_t)rows->column;
#define QIR_COLUMN(n)                                                                                             \
    if (at < inside) {                                                                                            \
        column##n = qir_conv_u8s8_depthwise_3x3_T_dotprod_zip(                                                    \
            vreinterpret_s8_u8(vld1_u8(row0)), vreinterpret_s8_u8(vld1_u8(row1)),                                 \
            vreinterpret_s8_u8(vld1_u8(row2)), vreinterpret_s8_u8(vld1_u8(row3)));                                \
        column##n.low = qir_depthwise_signed16(vreinterpretq_u8_s8(column##n.low));                               \
        column##n.high = qir_depthwise_signed16(vreinterpretq_u8_s8(column##n.high));                             \
    } else {                                                                                                      \
        column##n.low = column##n.high = padding;                                                                 \
    }                                                                                                             \
    row0 += next0, row1 += next1, row2 += next2, row3 += next3, ++at;
#define QIR_WINDOW(a, b, c)                                                                                       \
    {                                                                                                             \
        int32x4_t low = vld1q_s32(bias), high = vld1q_s32(bias + 4), low2 = low, high2 = high;                    \
        QIR_COLUMN(c)                                                                                             \
        low = vdotq_s32(low, column##a.low, left.low), high = vdotq_s32(high, column##a.high, left.high);         \
        low2 = vdotq_s32(low2, column##a.low, left_low), high2 = vdotq_s32(high2, column##a.high, left_high);     \
        low = vdotq_s32(low, column##b.low, centre.low), high = vdotq_s32(high, column##b.high, centre.high);     \
        low2 = vdotq_s32(low2, column##b.low, centre_low), high2 = vdotq_s32(high2, column##b.high, centre_high); \
        low = vdotq_s32(low, column##c.low, right.low), high = vdotq_s32(high, column##c.high, right.high);       \
        low2 = vdotq_s32(low2, column##c.low, right_low), high2 = vdotq_s32(high2, column##c.high, right_high);   \
        QIR_STORE8(low, high, vld1q_f32(multiplier), vld1q_f32(multiplier + 4), q, y);                            \
        QIR_STORE8(low2, high2, vld1q_f32(multiplier), vld1q_f32(multiplier + 4), q, y + below);                  \
        y += channels;                                                                                            \
    }                                                                                                             \
    if (--columns == 0) {                                                                                         \
        return;                                                                                                   \
    }
    QIR_COLUMN(0)
    QIR_COLUMN(1)
    for (;;) { /* a window's last columns are the next one's first, so the three change places */
        QIR_WINDOW(0, 1, 2)
        QIR_WINDOW(1, 2, 0)
        QIR_WINDOW(2, 0, 1)
    }
#undef QIR_COLUMN
#undef QIR_WINDOW
}

/* Windows of three by three neighbours, one row and column apart, at least two rows of them, and at least eight
   channels: the last rows and channels may lap over those before. */
void qir_conv_u8s8_depthwise_3x3_T__dotprod(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                                            const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                            const float *QIR_RESTRICT multiplier, QIR_Y *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const qir_requant4 q = qir_widen_requant4(&s->requant);
    const int32_t channels = s->groups, columns = win->out[2], rows = win->out[1];
    const uint8x8_t zero = vdup_n_u8((uint8_t)s->x_zero_point);
    uint8_t outside[8];
    int32_t sample, row, channel;
    vst1_u8(outside, zero);
    for (sample = 0; sample < win->batch; ++sample) {
        for (row = 0; row < rows; row += 2) {
            const int32_t r = row + 2 <= rows ? row : rows - 2;
            QIR_Y *const to = y + ((ptrdiff_t)sample * rows + r) * columns * channels;
            for (channel = 0; channel < channels; channel += 8) {
                const int32_t c = channel + 8 <= channels ? channel : channels - 8;
                const qir_depthwise_rows under = qir_depthwise_rows_under(s, x + c, sample, r, outside);
                qir_conv_u8s8_depthwise_3x3_T_dotprod_rows(&under, w + c, channels, bias + c, multiplier + c, q,
                                                           qir_depthwise_signed8(zero), columns, to + c);
            }
        }
    }
}
