#include "../../runtime/qir_x86.h"
#include "maxpool.h"

/* Thirty-two channels of a pixel; 0, the least code, where the window meets no input. */
QIR_AVX2 static QIR_INLINE void qir_maxpool_u8_avx2_block(const qir_window *w, const qir_taps *t, int32_t channels,
                                                          const uint8_t *x, uint8_t *y) {
    const ptrdiff_t step = (ptrdiff_t)w->dilation[2] * channels;
    __m256i largest = _mm256_setzero_si256();
    int32_t a, b, c;
    for (a = t->first[0]; a < t->last[0]; ++a) {
        for (b = t->first[1]; b < t->last[1]; ++b) {
            const uint8_t *from = x + qir_under_tap(w, t, a, b, t->first[2]) * channels;
            for (c = t->first[2]; c < t->last[2]; ++c, from += step) {
                largest = _mm256_max_epu8(largest, _mm256_loadu_si256((const __m256i *)(const void *)from));
            }
        }
    }
    _mm256_storeu_si256((__m256i *)(void *)y, largest);
}

/* At least thirty-two channels; the last ones may lap over those before. */
QIR_AVX2
void qir_maxpool_u8__avx2(const qir_maxpool_shape *shape, const uint8_t *QIR_RESTRICT x, uint8_t *QIR_RESTRICT y) {
    const qir_window *const w = &shape->window;
    const int32_t pixels = qir_pixels(w), channels = shape->channels;
    int32_t pixel, channel;
    for (pixel = 0; pixel < pixels; ++pixel, y += channels) {
        qir_taps t;
        qir_find_taps(w, pixel, &t);
        for (channel = 0; channel < channels; channel += 32) {
            const int32_t from = channel + 32 <= channels ? channel : channels - 32;
            qir_maxpool_u8_avx2_block(w, &t, channels, x + from, y + from);
        }
    }
}
