#include "../../runtime/qir_neon.h"
#include "quantize.h"

/* Four quotients. 32-bit ARM's vectors cannot divide, its scalar unit does. */
static QIR_INLINE float32x4_t qir_quantize_f32_u8_neon_four(const float *x, float scale) {
#if defined(__aarch64__)
    return vdivq_f32(vld1q_f32(x), vdupq_n_f32(scale));
#else
    const float quotients[4] = {x[0] / scale, x[1] / scale, x[2] / scale, x[3] / scale};
    return vld1q_f32(quotients);
#endif
}

static QIR_INLINE void qir_quantize_f32_u8_neon_block(const float *x, float scale, qir_requant4 q, uint8_t *y) {
    const float32x4_t a = qir_neon_number(qir_quantize_f32_u8_neon_four(x, scale), q);
    const float32x4_t b = qir_neon_number(qir_quantize_f32_u8_neon_four(x + 4, scale), q);
    const float32x4_t c = qir_neon_number(qir_quantize_f32_u8_neon_four(x + 8, scale), q);
    const float32x4_t d = qir_neon_number(qir_quantize_f32_u8_neon_four(x + 12, scale), q);
    vst1q_u8(y, qir_neon_codes16(a, b, c, d, q));
}

/* By sixteen; what is left goes through room of its own. */
void qir_quantize_f32_u8__neon(const qir_requant *requant, float scale, size_t count, const float *QIR_RESTRICT x,
                               uint8_t *QIR_RESTRICT y) {
    const qir_requant4 q = qir_widen_requant4(requant);
    size_t i;
    for (i = 0; i + 16 <= count; i += 16) {
        qir_quantize_f32_u8_neon_block(x + i, scale, q, y + i);
    }
    if (i < count) {
        float room[16] = {0};
        uint8_t codes[16];
        memcpy(room, x + i, (count - i) * sizeof(float));
        qir_quantize_f32_u8_neon_block(room, scale, q, codes);
        memcpy(y + i, codes, count - i);
    }
}
