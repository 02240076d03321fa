#include "../../runtime/qir_avx2.h"
#include "pack_bits.h"

/* A bit of each of 32 numbers: it is moved to the highest of its byte. */
QIR_AVX2 static QIR_INLINE uint32_t qir_pack_bits_u8_group(const uint8_t *x, __m256i low, __m128i left) {
    const __m256i numbers = _mm256_sub_epi8(qir_avx2_vector(x), low);
    return (uint32_t)_mm256_movemask_epi8(_mm256_sll_epi16(numbers, left));
}

QIR_AVX2
void qir_pack_bits_u8__avx2(const qir_pack_bits_shape *s, const uint8_t *QIR_RESTRICT x, uint8_t *QIR_RESTRICT y) {
    const __m256i low = _mm256_set1_epi8((char)s->low);
    int32_t pixel, plane, i;
    for (pixel = 0; pixel < s->pixels; ++pixel, x += s->channels) {
        for (plane = 0; plane < s->bits; ++plane) {
            const __m128i left = _mm_cvtsi32_si128(7 - plane - (s->step == 2));
            for (i = 0; i + 32 <= s->channels; i += 32, y += 4) {
                const uint32_t bits = qir_pack_bits_u8_group(x + i, low, left);
                memcpy(y, &bits, 4);
            }
            if (i < s->channels) {
                const int32_t count = s->channels - i;
                uint8_t part[32];
                uint32_t bits;
                memset(part, s->low, 32); /* beyond the last channel numbers are 0 */
                memcpy(part, x + i, (size_t)count);
                bits = qir_pack_bits_u8_group(part, low, left);
                memcpy(y, &bits, (size_t)(count + 7) / 8);
                y += (count + 7) / 8;
            }
        }
    }
}
