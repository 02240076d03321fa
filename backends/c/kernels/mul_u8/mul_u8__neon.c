#include "../../runtime/qir_broadcast16.h"
#include "../../runtime/qir_neon.h"
#include "mul_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_REALS16 qir_neon_reals16_u8
/* template: end */

typedef struct {
    uint8x8_t a_zero_point;
    uint8x8_t b_zero_point;
    float32x4_t multiplier;
    qir_requant4 q;
} qir_mul_u8u8_T_neon_numbers;

/* Sixteen products of differences, at most 255 * 255 and so exact as floats, times the multiplier. */
static QIR_INLINE void qir_mul_u8u8_T_neon_block(const void *numbers, const uint8_t *a, int32_t a_step,
                                                 const uint8_t *b, int32_t b_step, void *y) {
    const qir_mul_u8u8_T_neon_numbers *const n = (const qir_mul_u8u8_T_neon_numbers *)numbers;
    const uint8x16_t left = qir_neon_neighbours16(a, a_step), right = qir_neon_neighbours16(b, b_step);
    const int16x8_t left0 = vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(left), n->a_zero_point));
    const int16x8_t left1 = vreinterpretq_s16_u16(vsubl_u8(vget_high_u8(left), n->a_zero_point));
    const int16x8_t right0 = vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(right), n->b_zero_point));
    const int16x8_t right1 = vreinterpretq_s16_u16(vsubl_u8(vget_high_u8(right), n->b_zero_point));
    const float32x4_t products[4] = {
        qir_neon_scaled(vmull_s16(vget_low_s16(left0), vget_low_s16(right0)), n->multiplier),
        qir_neon_scaled(vmull_s16(vget_high_s16(left0), vget_high_s16(right0)), n->multiplier),
        qir_neon_scaled(vmull_s16(vget_low_s16(left1), vget_low_s16(right1)), n->multiplier),
        qir_neon_scaled(vmull_s16(vget_high_s16(left1), vget_high_s16(right1)), n->multiplier),
    };
    QIR_REALS16(products, n->q, (QIR_Y *)y);
}

void qir_mul_u8u8_T__neon(const qir_broadcast *s, const qir_mul_u8_numbers *numbers, const uint8_t *a,
                          const uint8_t *b, QIR_Y *y) {
    qir_mul_u8u8_T_neon_numbers n;
    n.a_zero_point = vdup_n_u8((uint8_t)numbers->a_zero_point);
    n.b_zero_point = vdup_n_u8((uint8_t)numbers->b_zero_point);
    n.multiplier = vdupq_n_f32(numbers->multiplier);
    n.q = qir_widen_requant4(&numbers->requant);
    qir_broadcast_by16(qir_mul_u8u8_T_neon_block, s, &n, a, b, sizeof(QIR_Y), y);
}
