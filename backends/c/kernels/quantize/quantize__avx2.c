#include "../../runtime/qir_avx2.h"
#include "quantize.h"

/* Eight quotients as steps. NaN becomes the least int32, which packing turns into qmin. */
QIR_AVX2 static QIR_INLINE __m256i qir_quantize_f32_u8_avx2_eight(const float *x, __m256 scale, qir_requant8 q) {
    return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_div_ps(_mm256_loadu_ps(x), scale), q.high));
}

/* By sixteen; what is left goes through room of its own. */
QIR_AVX2
void qir_quantize_f32_u8__avx2(const qir_requant *requant, float scale, size_t count, const float *QIR_RESTRICT x,
                               uint8_t *QIR_RESTRICT y) {
    const qir_requant8 q = qir_widen_requant8(requant);
    const __m256 wide = _mm256_set1_ps(scale);
    size_t i;
    for (i = 0; i + 16 <= count; i += 16) {
        const __m256i first = qir_quantize_f32_u8_avx2_eight(x + i, wide, q);
        const __m256i second = qir_quantize_f32_u8_avx2_eight(x + i + 8, wide, q);
        _mm_storeu_si128((__m128i *)(void *)(y + i), qir_codes_in_order(first, second, q));
    }
    if (i < count) {
        float room[16] = {0};
        uint8_t codes[16];
        memcpy(room, x + i, (count - i) * sizeof(float));
        _mm_storeu_si128((__m128i *)(void *)codes,
                         qir_codes_in_order(qir_quantize_f32_u8_avx2_eight(room, wide, q),
                                            qir_quantize_f32_u8_avx2_eight(room + 8, wide, q), q));
        memcpy(y + i, codes, count - i);
    }
}
