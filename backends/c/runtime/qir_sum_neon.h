/* Sums with other codes (qir_sum.h) on ARM's vectors. */
#ifndef QIR_SUM_NEON_H
#define QIR_SUM_NEON_H

#include "qir_neon.h"
#include "qir_sum.h"

typedef struct {
    float32x4_t low;
    float32x4_t high;
    float32x4_t up;   /* 1.5 * 2^23 */
    float32x4_t down; /* the same less the zero point */
    float32x4_t own_multiplier;
    float32x4_t other_multiplier;
    float32x4_t offset;
} qir_neon_sum_numbers;

static QIR_INLINE qir_neon_sum_numbers qir_neon_widen_sum(const qir_sum *s) {
    qir_neon_sum_numbers wide;
    wide.low = vdupq_n_f32((float)s->requant.low);
    wide.high = vdupq_n_f32((float)s->requant.high);
    wide.up = vdupq_n_f32(12582912.0f);
    wide.down = vdupq_n_f32(12582912.0f - (float)s->requant.zero_point);
    wide.own_multiplier = vdupq_n_f32(s->own_multiplier);
    wide.other_multiplier = vdupq_n_f32(s->other_multiplier);
    wide.offset = vdupq_n_f32(s->offset);
    return wide;
}

/* Codes are rounded as by qir_round, and stay reals: up + v is an integer, and so is what is left of it. The products
   are kept apart from the sums, lest a compiler fuse them. */
static QIR_INLINE float32x4_t qir_neon_sum4(float32x4_t real, const qir_neon_sum_numbers *s, uint16x4_t other,
                                            int32_t own_first) {
    const float32x4_t clamped = vminq_f32(vmaxq_f32(real, s->low), s->high);
    float32x4_t first = vmulq_f32(vsubq_f32(vaddq_f32(clamped, s->up), s->down), s->own_multiplier);
    float32x4_t second = vmulq_f32(vcvtq_f32_u32(vmovl_u16(other)), s->other_multiplier);
    QIR_KEEP_PRODUCT(first);
    QIR_KEEP_PRODUCT(second);
    return own_first ? vaddq_f32(vaddq_f32(s->offset, first), second)
                     : vaddq_f32(vaddq_f32(s->offset, second), first);
}

/* The same with four neighbours. */
static QIR_INLINE float32x4_t qir_neon_sum_with(float32x4_t real, const qir_neon_sum_numbers *s, const uint8_t *other,
                                                int32_t own_first) {
    const uint8x8_t codes = vreinterpret_u8_s32(vdup_n_s32(qir_four_bytes(other)));
    return qir_neon_sum4(real, s, vget_low_u16(vmovl_u8(codes)), own_first);
}

/* Sixteen codes of sixteen accumulators, with the scales of their channels. */
static QIR_INLINE uint8x16_t qir_neon_sum16(const int32x4_t acc[4], const float32x4_t scale[4],
                                            const qir_neon_sum_numbers *s, uint8x16_t other, int32_t own_first,
                                            qir_requant4 q) {
    const uint16x8_t low = vmovl_u8(vget_low_u8(other)), high = vmovl_u8(vget_high_u8(other));
    return qir_neon_codes16(qir_neon_sum4(qir_neon_scaled(acc[0], scale[0]), s, vget_low_u16(low), own_first),
                            qir_neon_sum4(qir_neon_scaled(acc[1], scale[1]), s, vget_high_u16(low), own_first),
                            qir_neon_sum4(qir_neon_scaled(acc[2], scale[2]), s, vget_low_u16(high), own_first),
                            qir_neon_sum4(qir_neon_scaled(acc[3], scale[3]), s, vget_high_u16(high), own_first), q);
}

#endif
