#include "../../runtime/qir_x86.h"
#include "lookup_u8.h"

/* vpshufb looks bytes up in sixteen entries and gives 0 where bit 7 of the index is set. For part t of the table the
   index is x - 16 t, which adding 0x70 with saturation leaves below 0x80 for 0 .. 15 alone: all others, which have
   wrapped around where x is less, reach 0x80. So exactly one part gives each result. */
QIR_AVX2
void qir_lookup_u8_u8__avx2(size_t count, const uint8_t *x, const uint8_t *table, uint8_t *y) {
    const __m256i sixteen = _mm256_set1_epi8(16), bias = _mm256_set1_epi8(0x70);
    size_t i;
    int32_t t;
    for (i = 0; i < count; i += 64) {
        uint8_t room[64] = {0};
        const int whole = count - i >= 64;
        const uint8_t *const from = whole ? x + i : room;
        uint8_t *const to = whole ? y + i : room;
        __m256i first, second, a = _mm256_setzero_si256(), b = a;
        if (!whole) {
            memcpy(room, x + i, count - i);
        }
        first = _mm256_loadu_si256((const __m256i *)(const void *)from);
        second = _mm256_loadu_si256((const __m256i *)(const void *)(from + 32));
        for (t = 0; t < 16; ++t) {
            const __m128i half = _mm_loadu_si128((const __m128i *)(const void *)(table + 16 * t));
            const __m256i part = _mm256_broadcastsi128_si256(half);
            a = _mm256_or_si256(a, _mm256_shuffle_epi8(part, _mm256_adds_epu8(first, bias)));
            b = _mm256_or_si256(b, _mm256_shuffle_epi8(part, _mm256_adds_epu8(second, bias)));
            first = _mm256_sub_epi8(first, sixteen);
            second = _mm256_sub_epi8(second, sixteen);
        }
        _mm256_storeu_si256((__m256i *)(void *)to, a);
        _mm256_storeu_si256((__m256i *)(void *)(to + 32), b);
        if (!whole) {
            memcpy(y + i, room, count - i);
        }
    }
}
