/* Eight rows of eight words turned. */
#ifndef QIR_TURN_AVX2_H
#define QIR_TURN_AVX2_H

#include "../../runtime/qir_avx2.h"

/* By twos of neighbouring rows, by fours, and by halves of 128 bits. */
QIR_AVX2 static QIR_INLINE void qir_turn_avx2(__m256 rows[8]) {
    __m256 twos[8], fours[8];
    int32_t i;
    for (i = 0; i < 8; i += 2) {
        twos[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        twos[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    for (i = 0; i < 8; i += 4) {
        fours[i] = _mm256_shuffle_ps(twos[i], twos[i + 2], _MM_SHUFFLE(1, 0, 1, 0));
        fours[i + 1] = _mm256_shuffle_ps(twos[i], twos[i + 2], _MM_SHUFFLE(3, 2, 3, 2));
        fours[i + 2] = _mm256_shuffle_ps(twos[i + 1], twos[i + 3], _MM_SHUFFLE(1, 0, 1, 0));
        fours[i + 3] = _mm256_shuffle_ps(twos[i + 1], twos[i + 3], _MM_SHUFFLE(3, 2, 3, 2));
    }
    for (i = 0; i < 4; ++i) {
        rows[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
        rows[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
    }
}

#endif
