#include "../../runtime/qir_avx2.h"
#include "softmax_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_avx2_store16_u8
/* template: end */

QIR_AVX2 static QIR_INLINE int32_t qir_softmax_u8_T_avx2_most(const uint8_t *x, int32_t size) {
    __m128i most = _mm_setzero_si128();
    int32_t i, found = 0;
    for (i = 0; i + 16 <= size; i += 16) {
        most = _mm_max_epu8(most, _mm_loadu_si128((const __m128i *)(const void *)(x + i)));
    }
    for (; i < size; ++i) {
        found = x[i] > found ? x[i] : found;
    }
    most = _mm_max_epu8(most, _mm_srli_si128(most, 8));
    most = _mm_max_epu8(most, _mm_srli_si128(most, 4));
    most = _mm_max_epu8(most, _mm_srli_si128(most, 2));
    most = _mm_max_epu8(most, _mm_srli_si128(most, 1));
    i = _mm_cvtsi128_si32(most) & 255;
    return i > found ? i : found;
}

/* Eight entries; `from` is where the entry of code 0 stands. */
QIR_AVX2 static QIR_INLINE __m256i qir_softmax_u8_T_avx2_eight(const int32_t *from, __m128i codes) {
    return _mm256_i32gather_epi32(from, _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_cvtepu8_epi32(codes)), 4);
}

/* A lane takes two entries of at most 2^24 from every sixteen codes: 32 times that fit 31 bits. */
QIR_AVX2 static QIR_INLINE int64_t qir_softmax_u8_T_avx2_sum(const int32_t *from, const uint8_t *x, int32_t size) {
    int64_t sum = 0;
    int32_t i = 0, j;
    while (i + 16 <= size) {
        const int32_t end = size - i < 512 ? size : i + 512;
        __m256i sums = _mm256_setzero_si256();
        int32_t lanes[8];
        for (; i + 16 <= end; i += 16) {
            const __m128i codes = _mm_loadu_si128((const __m128i *)(const void *)(x + i));
            sums = _mm256_add_epi32(sums, qir_softmax_u8_T_avx2_eight(from, codes));
            sums = _mm256_add_epi32(sums, qir_softmax_u8_T_avx2_eight(from, _mm_srli_si128(codes, 8)));
        }
        _mm256_storeu_si256((__m256i *)(void *)lanes, sums);
        for (j = 0; j < 8; ++j) {
            sum += lanes[j];
        }
    }
    for (; i < size; ++i) {
        sum += from[-(ptrdiff_t)x[i]];
    }
    return sum;
}

/* y may share the bytes of x. What is left of a row goes through room of its own, filled with its largest code. */
QIR_AVX2
void qir_softmax_u8_T__avx2(const qir_softmax_u8_shape *s, const int32_t *table, const uint8_t *x, QIR_Y *y) {
    const qir_requant8 q = qir_widen_requant8(&s->requant);
    const int32_t size = s->size;
    int32_t row, i;
    for (row = 0; row < s->rows; ++row, x += size, y += size) {
        const int32_t most = qir_softmax_u8_T_avx2_most(x, size);
        const int32_t *const from = table + most;
        const __m256 multiplier = _mm256_set1_ps(s->multiplier / (float)qir_softmax_u8_T_avx2_sum(from, x, size));
        for (i = 0; i < size; i += 16) {
            const int32_t count = size - i < 16 ? size - i : 16;
            uint8_t room[16];
            QIR_Y found[16];
            __m128i codes;
            if (count < 16) {
                memset(room, most, sizeof room);
                memcpy(room, x + i, (size_t)count);
            }
            codes = _mm_loadu_si128((const __m128i *)(const void *)(count < 16 ? room : x + i));
            QIR_STORE16(qir_softmax_u8_T_avx2_eight(from, codes),
                        qir_softmax_u8_T_avx2_eight(from, _mm_srli_si128(codes, 8)), multiplier, multiplier, q,
                        count < 16 ? found : y + i);
            if (count < 16) {
                memcpy(y + i, found, (size_t)count * sizeof(QIR_Y));
            }
        }
    }
}
