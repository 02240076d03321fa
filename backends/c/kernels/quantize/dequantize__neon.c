#include "../../runtime/qir_neon.h"
#include "quantize.h"

/* Sixteen neighbours. */
static QIR_INLINE void qir_dequantize_u8_f32_neon_block(const uint8_t *x, uint8x8_t zero, float32x4_t scale, float *y) {
    const uint8x16_t codes = vld1q_u8(x);
    const int16x8_t low = vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(codes), zero));
    const int16x8_t high = vreinterpretq_s16_u16(vsubl_u8(vget_high_u8(codes), zero));
    vst1q_f32(y, qir_neon_scaled(vmovl_s16(vget_low_s16(low)), scale));
    vst1q_f32(y + 4, qir_neon_scaled(vmovl_s16(vget_high_s16(low)), scale));
    vst1q_f32(y + 8, qir_neon_scaled(vmovl_s16(vget_low_s16(high)), scale));
    vst1q_f32(y + 12, qir_neon_scaled(vmovl_s16(vget_high_s16(high)), scale));
}

/* By sixteen; what is left goes through room of its own. */
void qir_dequantize_u8_f32__neon(const qir_requant *requant, float scale, size_t count, const uint8_t *QIR_RESTRICT x,
                                 float *QIR_RESTRICT y) {
    const uint8x8_t zero = vdup_n_u8((uint8_t)requant->zero_point);
    const float32x4_t wide = vdupq_n_f32(scale);
    size_t i;
    for (i = 0; i + 16 <= count; i += 16) {
        qir_dequantize_u8_f32_neon_block(x + i, zero, wide, y + i);
    }
    if (i < count) {
        uint8_t room[16] = {0};
        float reals[16];
        memcpy(room, x + i, count - i);
        qir_dequantize_u8_f32_neon_block(room, zero, wide, reals);
        memcpy(y + i, reals, (count - i) * sizeof(float));
    }
}
