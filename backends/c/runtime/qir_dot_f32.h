/* Inner products of float rows with packed columns: what convolutions and matrix products spend their time in. */
#ifndef QIR_DOT_F32_H
#define QIR_DOT_F32_H

#include "qir_runtime.h"

/* gcc -O3 takes the short loops below apart before it turns them into vectors, and then no longer can: four times slower
   than -O2. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__) && !defined(__OPTIMIZE_SIZE__)
#define QIR_VECTORS __attribute__((optimize("O2", "fp-contract=off")))
#else
#define QIR_VECTORS
#endif

/* acc[i * 8 + j] = sum over k of a_i[k] * w[k * 8 + j], k ascending, each product and each sum rounded. */
QIR_VECTORS static inline void qir_tile_4x8_f32(const float *a0, const float *a1, const float *a2, const float *a3,
                                                const float *QIR_RESTRICT w, int32_t depth, float *QIR_RESTRICT acc) {
    float r0[8] = {0}, r1[8] = {0}, r2[8] = {0}, r3[8] = {0};
    int32_t k, j;
    for (k = 0; k < depth; ++k, w += 8) {
        const float v0 = a0[k], v1 = a1[k], v2 = a2[k], v3 = a3[k];
        for (j = 0; j < 8; ++j) {
            r0[j] += v0 * w[j];
        }
        for (j = 0; j < 8; ++j) {
            r1[j] += v1 * w[j];
        }
        for (j = 0; j < 8; ++j) {
            r2[j] += v2 * w[j];
        }
        for (j = 0; j < 8; ++j) {
            r3[j] += v3 * w[j];
        }
    }
    for (j = 0; j < 8; ++j) {
        acc[j] = r0[j];
        acc[8 + j] = r1[j];
        acc[16 + j] = r2[j];
        acc[24 + j] = r3[j];
    }
}

/* The same for a single row. */
QIR_VECTORS static inline void qir_tile_1x8_f32(const float *a, const float *QIR_RESTRICT w, int32_t depth,
                                                float *QIR_RESTRICT acc) {
    float r[8] = {0};
    int32_t k, j;
    for (k = 0; k < depth; ++k, w += 8) {
        const float v = a[k];
        for (j = 0; j < 8; ++j) {
            r[j] += v * w[j];
        }
    }
    for (j = 0; j < 8; ++j) {
        acc[j] = r[j];
    }
}

/* Weights that are floats already; kernels for codes put a function of qir_coded.h in its place. */
static inline const float *qir_floats_f32(const float *w, const float *scale, const int16_t *zero_point, int32_t channel,
                                          int32_t depth, float *room) {
    (void)scale;
    (void)zero_point;
    (void)channel;
    (void)depth;
    (void)room;
    return w;
}

/* Up to four rows, `step` apart, of which `rows` count. */
static inline void qir_tile_rows_f32(const float *a, ptrdiff_t step, int32_t rows, const float *w, int32_t depth,
                                     float *acc) {
    if (rows == 1) {
        qir_tile_1x8_f32(a, w, depth, acc);
    } else {
        qir_tile_4x8_f32(a, a + step, a + (rows > 2 ? 2 : 1) * step, a + (rows > 3 ? 3 : 1) * step, w, depth, acc);
    }
}

#endif
