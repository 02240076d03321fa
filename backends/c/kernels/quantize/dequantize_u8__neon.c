#include "../../runtime/qir_neon.h"
#include "quantize.h"

/* Sixteen neighbours of one scale. */
static QIR_INLINE void qir_dequantize_u8_f32_neon_block(const uint8_t *x, uint8x8_t zero, float32x4_t scale, float *y) {
    const uint8x16_t codes = vld1q_u8(x);
    const int16x8_t low = vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(codes), zero));
    const int16x8_t high = vreinterpretq_s16_u16(vsubl_u8(vget_high_u8(codes), zero));
    vst1q_f32(y, qir_neon_scaled(vmovl_s16(vget_low_s16(low)), scale));
    vst1q_f32(y + 4, qir_neon_scaled(vmovl_s16(vget_high_s16(low)), scale));
    vst1q_f32(y + 8, qir_neon_scaled(vmovl_s16(vget_low_s16(high)), scale));
    vst1q_f32(y + 12, qir_neon_scaled(vmovl_s16(vget_high_s16(high)), scale));
}

/* At least sixteen neighbours share a scale; the last sixteen may lap over those before. scale and zero_point as in the
   portable kernel. */
void qir_dequantize_u8_f32__neon(const float *QIR_RESTRICT scale, const int32_t *QIR_RESTRICT zero_point, size_t outer,
                                 size_t channels, size_t inner, const uint8_t *QIR_RESTRICT x, float *QIR_RESTRICT y) {
    size_t row, i;
    for (row = 0; row < outer * channels; ++row, x += inner, y += inner) {
        const uint8x8_t zero = vdup_n_u8((uint8_t)zero_point[row % channels]);
        const float32x4_t wide = vdupq_n_f32(scale[row % channels]);
        for (i = 0; i < inner; i += 16) {
            const size_t from = i + 16 <= inner ? i : inner - 16;
            qir_dequantize_u8_f32_neon_block(x + from, zero, wide, y + from);
        }
    }
}
