#include "../../runtime/qir_x86.h"
#include "lookup_u8.h"

/* vpshufb looks bytes up in sixteen entries, by four bits of the index, and gives 0 where its bit 7 is set. For x below
   128 parts T[0], T[1], .. of the table are looked up with x, x - 16, ..: bit 7 is set where that is negative, and
   saturation keeps it so. Of T[t] ^ T[t - 1] in place of T[t] the results join to the entry of the last part that x
   reaches. For x from 128 on the same goes with x - 128, which in the other half is negative. */
QIR_AVX2
void qir_lookup_u8_u8__avx2(size_t count, const uint8_t *x, const uint8_t *table, uint8_t *y) {
    const __m256i sixteen = _mm256_set1_epi8(16), upper = _mm256_set1_epi8((char)0x80);
    __m256i parts[16];
    __m128i before = _mm_setzero_si128();
    size_t i;
    int32_t t;
    for (t = 0; t < 16; ++t) {
        const __m128i part = _mm_loadu_si128((const __m128i *)(const void *)(table + 16 * t));
        parts[t] = _mm256_broadcastsi128_si256(t % 8 ? _mm_xor_si128(part, before) : part);
        before = part;
    }
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
        for (t = 0; t < 16; t += 8) {
            __m256i one = first, two = second;
            int32_t k;
            for (k = 0; k < 8; ++k) {
                a = _mm256_xor_si256(a, _mm256_shuffle_epi8(parts[t + k], one));
                b = _mm256_xor_si256(b, _mm256_shuffle_epi8(parts[t + k], two));
                one = _mm256_subs_epi8(one, sixteen);
                two = _mm256_subs_epi8(two, sixteen);
            }
            first = _mm256_xor_si256(first, upper);
            second = _mm256_xor_si256(second, upper);
        }
        _mm256_storeu_si256((__m256i *)(void *)to, a);
        _mm256_storeu_si256((__m256i *)(void *)(to + 32), b);
        if (!whole) {
            memcpy(y + i, room, count - i);
        }
    }
}
