#include "../../runtime/qir_neon.h"
#include "add_u8.h"

/* template: begin */
#define QIR_A int16_t
#define QIR_B uint8_t
#define QIR_Y int16_t
/* template: end */

typedef struct {
    float32x4_t a_multiplier;
    float32x4_t b_multiplier;
    float32x4_t offset;
    float32x4_t low;
    float32x4_t high;
} qir_add_wide_T_neon_numbers;

/* Eight codes in lanes of 16 bits: bytes are unsigned, longer ones signed. */
static QIR_INLINE int16x8_t qir_add_wide_T_neon_codes(const void *from, size_t bytes) {
    return bytes == 1 ? vreinterpretq_s16_u16(vmovl_u8(vld1_u8((const uint8_t *)from)))
                      : vld1q_s16((const int16_t *)from);
}

/* Four codes. The products are kept apart from the sums, lest a compiler fuse them. Clamped, a sum is rounded by adding
   1.5 * 2^23, which leaves it in the low bits: those of 1.5 * 2^23 itself, 0x4b400000, are zero. */
static QIR_INLINE int16x4_t qir_add_wide_T_neon_four(const qir_add_wide_T_neon_numbers *n, int16x4_t a, int16x4_t b) {
    float32x4_t first = vmulq_f32(vcvtq_f32_s32(vmovl_s16(a)), n->a_multiplier);
    float32x4_t second = vmulq_f32(vcvtq_f32_s32(vmovl_s16(b)), n->b_multiplier);
    QIR_KEEP_PRODUCT(first);
    QIR_KEEP_PRODUCT(second);
    first = vaddq_f32(vaddq_f32(n->offset, first), second);
    first = vminq_f32(vmaxq_f32(first, n->low), n->high);
    return vmovn_s32(vreinterpretq_s32_f32(vaddq_f32(first, vdupq_n_f32(12582912.0f))));
}

/* Both operands are read before the results are written. */
static QIR_INLINE void qir_add_wide_T_neon_block(const qir_add_wide_T_neon_numbers *n, const QIR_A *a, const QIR_B *b,
                                                 QIR_Y *y) {
    const int16x8_t left = qir_add_wide_T_neon_codes(a, sizeof(QIR_A));
    const int16x8_t right = qir_add_wide_T_neon_codes(b, sizeof(QIR_B));
    const int16x8_t codes = vcombine_s16(qir_add_wide_T_neon_four(n, vget_low_s16(left), vget_low_s16(right)),
                                         qir_add_wide_T_neon_four(n, vget_high_s16(left), vget_high_s16(right)));
    if (sizeof(QIR_Y) == 1) {
        vst1_u8((uint8_t *)y, vmovn_u16(vreinterpretq_u16_s16(codes)));
    } else {
        vst1q_s16((int16_t *)(void *)y, codes);
    }
}

/* By eight; what is left goes through room of its own. y may be a or b, where it has their type. */
void qir_add_wide_T__neon(const qir_add_u8_numbers *numbers, size_t count, const QIR_A *a, const QIR_B *b, QIR_Y *y) {
    qir_add_wide_T_neon_numbers n;
    size_t i;
    n.a_multiplier = vdupq_n_f32(numbers->a_multiplier);
    n.b_multiplier = vdupq_n_f32(numbers->b_multiplier);
    n.offset = vdupq_n_f32(numbers->offset);
    n.low = vdupq_n_f32((float)numbers->requant.low);
    n.high = vdupq_n_f32((float)numbers->requant.high);
    for (i = 0; i + 8 <= count; i += 8) {
        qir_add_wide_T_neon_block(&n, a + i, b + i, y + i);
    }
    if (i < count) {
        QIR_A from_a[8] = {0};
        QIR_B from_b[8] = {0};
        QIR_Y found[8];
        memcpy(from_a, a + i, (count - i) * sizeof(QIR_A));
        memcpy(from_b, b + i, (count - i) * sizeof(QIR_B));
        qir_add_wide_T_neon_block(&n, from_a, from_b, found);
        memcpy(y + i, found, (count - i) * sizeof(QIR_Y));
    }
}
