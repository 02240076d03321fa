#include "../../runtime/qir_broadcast16.h"
#include "../../runtime/qir_neon.h"
#include "add_u8.h"

typedef struct {
    float32x4_t a_multiplier;
    float32x4_t b_multiplier;
    float32x4_t offset;
    qir_requant4 q;
} qir_add_u8u8_u8_neon_numbers;

/* Four sums. The products are kept apart from the sums, lest a compiler fuse them. */
static QIR_INLINE float32x4_t qir_add_u8u8_u8_neon_four(const qir_add_u8u8_u8_neon_numbers *n, uint16x4_t a,
                                                        uint16x4_t b) {
    float32x4_t first = vmulq_f32(vcvtq_f32_u32(vmovl_u16(a)), n->a_multiplier);
    float32x4_t second = vmulq_f32(vcvtq_f32_u32(vmovl_u16(b)), n->b_multiplier);
    QIR_KEEP_PRODUCT(first);
    QIR_KEEP_PRODUCT(second);
    return vaddq_f32(vaddq_f32(n->offset, first), second);
}

static QIR_INLINE void qir_add_u8u8_u8_neon_block(const void *numbers, const uint8_t *a, int32_t a_step,
                                                  const uint8_t *b, int32_t b_step, void *y) {
    const qir_add_u8u8_u8_neon_numbers *const n = (const qir_add_u8u8_u8_neon_numbers *)numbers;
    const uint8x16_t left = qir_neon_neighbours16(a, a_step), right = qir_neon_neighbours16(b, b_step);
    const uint16x8_t left0 = vmovl_u8(vget_low_u8(left)), left1 = vmovl_u8(vget_high_u8(left));
    const uint16x8_t right0 = vmovl_u8(vget_low_u8(right)), right1 = vmovl_u8(vget_high_u8(right));
    vst1q_u8((uint8_t *)y,
             qir_neon_codes16(qir_add_u8u8_u8_neon_four(n, vget_low_u16(left0), vget_low_u16(right0)),
                              qir_add_u8u8_u8_neon_four(n, vget_high_u16(left0), vget_high_u16(right0)),
                              qir_add_u8u8_u8_neon_four(n, vget_low_u16(left1), vget_low_u16(right1)),
                              qir_add_u8u8_u8_neon_four(n, vget_high_u16(left1), vget_high_u16(right1)), n->q));
}

void qir_add_u8u8_u8__neon(const qir_broadcast *s, const qir_add_u8_numbers *numbers, const uint8_t *a,
                           const uint8_t *b, uint8_t *y) {
    qir_add_u8u8_u8_neon_numbers n;
    n.a_multiplier = vdupq_n_f32(numbers->a_multiplier);
    n.b_multiplier = vdupq_n_f32(numbers->b_multiplier);
    n.offset = vdupq_n_f32(numbers->offset);
    n.q = qir_widen_requant4(&numbers->requant);
    qir_broadcast_by16(qir_add_u8u8_u8_neon_block, s, &n, a, b, sizeof(uint8_t), y);
}
