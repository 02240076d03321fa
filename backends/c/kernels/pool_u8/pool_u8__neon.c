#include "../../runtime/qir_neon.h"
#include "pool_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE8 qir_neon_store8_u8
/* template: end */

/* Eight channels of a pixel and eight that are `apart` from them: at most 257 taps, whose sum fits 16 bits without
   sign. */
static QIR_INLINE void qir_pool_u8_T_neon_block(const qir_pool_u8_shape *s, const qir_taps *t, const uint8_t *x,
                                                ptrdiff_t apart, float32x4_t multiplier, int32x4_t zero,
                                                qir_requant4 q, QIR_Y *y) {
    const qir_window *const w = &s->window;
    const ptrdiff_t step = (ptrdiff_t)w->dilation[2] * s->channels;
    const ptrdiff_t row = (ptrdiff_t)w->dilation[1] * w->in[2] * s->channels;
    uint16x8_t first = vdupq_n_u16(0), second = first;
    int32_t a, b, c;
    for (a = t->first[0]; a < t->last[0]; ++a) {
        ptrdiff_t start = qir_under_tap(w, t, a, t->first[1], t->first[2]) * s->channels;
        for (b = t->first[1]; b < t->last[1]; ++b, start += row) {
            ptrdiff_t at = start;
            for (c = t->first[2]; c < t->last[2]; ++c, at += step) {
                first = vaddw_u8(first, vld1_u8(x + at));
                second = vaddw_u8(second, vld1_u8(x + at + apart));
            }
        }
    }
    QIR_STORE8(qir_neon_less(vget_low_u16(first), zero), qir_neon_less(vget_high_u16(first), zero), multiplier,
               multiplier, q, y);
    QIR_STORE8(qir_neon_less(vget_low_u16(second), zero), qir_neon_less(vget_high_u16(second), zero), multiplier,
               multiplier, q, y + apart);
}

/* At least eight channels; the last ones may lap over those before. */
void qir_pool_u8_T__neon(const qir_pool_u8_shape *s, const uint8_t *QIR_RESTRICT x, QIR_Y *QIR_RESTRICT y) {
    const int32_t channels = s->channels, pixels = qir_pixels(&s->window);
    const int32_t apart = channels < 16 ? channels - 8 : 8, all = 8 + apart;
    const qir_requant4 q = qir_widen_requant4(&s->requant);
    int32_t pixel, channel;
    for (pixel = 0; pixel < pixels; ++pixel, y += channels) {
        int32x4_t zero;
        float32x4_t multiplier;
        qir_taps t;
        qir_find_taps(&s->window, pixel, &t);
        zero = vdupq_n_s32(qir_pool_u8_inside(&t) * s->x_zero_point);
        multiplier = vdupq_n_f32(s->multiplier / (float)qir_pool_u8_count(s, &t));
        for (channel = 0; channel < channels; channel += 16) {
            const int32_t from = channel + all <= channels ? channel : channels - all;
            qir_pool_u8_T_neon_block(s, &t, x + from, apart, multiplier, zero, q, y + from);
        }
    }
}
