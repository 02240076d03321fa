#include "../../runtime/qir_avx2.h"
#include "quantize.h"

QIR_AVX2 static QIR_INLINE void qir_quantize_f32_u8_avx2_block(const float *x, __m256 scale, qir_requant8 q,
                                                               uint8_t *y) {
    const __m256 first = _mm256_div_ps(_mm256_loadu_ps(x), scale);
    const __m256 second = _mm256_div_ps(_mm256_loadu_ps(x + 8), scale);
    qir_avx2_reals16_u8(first, second, q, y);
}

/* By sixteen; what is left goes through room of its own. */
QIR_AVX2
void qir_quantize_f32_u8__avx2(const qir_requant *requant, float scale, size_t count, const float *QIR_RESTRICT x,
                               uint8_t *QIR_RESTRICT y) {
    const qir_requant8 q = qir_widen_requant8(requant);
    const __m256 wide = _mm256_set1_ps(scale);
    size_t i;
    for (i = 0; i + 16 <= count; i += 16) {
        qir_quantize_f32_u8_avx2_block(x + i, wide, q, y + i);
    }
    if (i < count) {
        float room[16] = {0};
        uint8_t codes[16];
        memcpy(room, x + i, (count - i) * sizeof(float));
        qir_quantize_f32_u8_avx2_block(room, wide, q, codes);
        memcpy(y + i, codes, count - i);
    }
}
