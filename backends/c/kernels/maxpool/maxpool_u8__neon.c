#include "../../runtime/qir_neon.h"
#include "maxpool.h"

/* Channels of a pixel, 16 * vectors of them; 0, the least code, where the window meets no input. */
static QIR_INLINE void qir_maxpool_u8_neon_block(const int32_t vectors, const qir_window *w, const qir_taps *t,
                                                 int32_t channels, const uint8_t *x, uint8_t *y) {
    const ptrdiff_t step = (ptrdiff_t)w->dilation[2] * channels, row = (ptrdiff_t)w->dilation[1] * w->in[2] * channels;
    uint8x16_t largest[4] = {vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0)};
    int32_t a, b, c, v;
    for (a = t->first[0]; a < t->last[0]; ++a) {
        ptrdiff_t start = qir_under_tap(w, t, a, t->first[1], t->first[2]) * channels;
        for (b = t->first[1]; b < t->last[1]; ++b, start += row) {
            ptrdiff_t at = start;
            for (c = t->first[2]; c < t->last[2]; ++c, at += step) {
                for (v = 0; v < vectors; ++v) {
                    largest[v] = vmaxq_u8(largest[v], vld1q_u8(x + at + 16 * v));
                }
            }
        }
    }
    for (v = 0; v < vectors; ++v) {
        vst1q_u8(y + 16 * v, largest[v]);
    }
}

/* At least sixteen channels; the last sixteen may lap over those before. */
void qir_maxpool_u8__neon(const qir_maxpool_shape *shape, const uint8_t *QIR_RESTRICT x, uint8_t *QIR_RESTRICT y) {
    const qir_window *const w = &shape->window;
    const int32_t pixels = qir_pixels(w), channels = shape->channels;
    int32_t pixel;
    for (pixel = 0; pixel < pixels; ++pixel, y += channels) {
        int32_t channel = 0;
        qir_taps t;
        qir_find_taps(w, pixel, &t);
        for (; channel + 64 <= channels; channel += 64) {
            qir_maxpool_u8_neon_block(4, w, &t, channels, x + channel, y + channel);
        }
        for (; channel < channels; channel += 16) {
            const int32_t from = channel + 16 <= channels ? channel : channels - 16;
            qir_maxpool_u8_neon_block(1, w, &t, channels, x + from, y + from);
        }
    }
}
