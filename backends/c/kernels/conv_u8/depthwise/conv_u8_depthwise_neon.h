/* Depthwise convolution on ARM's vectors, whose products take signed codes: s = x ^ 128, as a signed byte, is x - 128. So

   sum over taps of (x - x_zero_point) * w = sum over taps of s * w + (128 - x_zero_point) * sum over taps of w,

   where taps outside the input have the code x_zero_point. The binder adds the last term to the bias.
   Weights: [taps][channels]. */
#ifndef QIR_CONV_U8_DEPTHWISE_NEON_H
#define QIR_CONV_U8_DEPTHWISE_NEON_H

#include "../../../runtime/qir_neon.h"
#include "../conv_u8.h"

static QIR_INLINE int8x8_t qir_depthwise_signed8(uint8x8_t codes) {
    return vreinterpret_s8_u8(veor_u8(codes, vdup_n_u8(128)));
}

static QIR_INLINE int8x16_t qir_depthwise_signed16(uint8x16_t codes) {
    return vreinterpretq_s8_u8(veorq_u8(codes, vdupq_n_u8(128)));
}

/* The input under a row of windows: rows outside the input are `outside` and stay there; so are columns that are not
   below `inside`. */
typedef struct {
    const uint8_t *row[4];
    ptrdiff_t next[4]; /* from column to column */
    int32_t column;    /* the first window's */
    int32_t inside;    /* columns of the input */
} qir_depthwise_rows;

/* Four rows of channels from x on, under output row `row` of a sample. */
static inline qir_depthwise_rows qir_depthwise_rows_under(const qir_conv_u8_shape *s, const uint8_t *x, int32_t sample,
                                                          int32_t row, const uint8_t *outside) {
    const qir_window *const w = &s->window;
    const int32_t start = row * w->stride[1] - w->pad[1];
    qir_depthwise_rows rows;
    int32_t i;
    rows.column = -w->pad[2];
    rows.inside = w->in[2];
    for (i = 0; i < 4; ++i) {
        const int32_t at = start + i * w->dilation[1], inside = at >= 0 && at < w->in[1];
        const ptrdiff_t pixel = ((ptrdiff_t)sample * w->in[1] + at) * w->in[2] - w->pad[2];
        rows.row[i] = inside ? x + pixel * s->groups : outside;
        rows.next[i] = inside ? s->groups : 0;
    }
    return rows;
}

#endif
