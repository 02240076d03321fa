/* Products and sums that may need more than int32: 16-bit activations, 16-bit weights. */
#ifndef QIR_WIDE_H
#define QIR_WIDE_H

#include "qir_dot.h"

/* Stores of an accumulator of 64 bits. A conversion to float rounds once, so where int32 holds the sum, too, the result
   is that of its own stores. */
static inline void qir_store_u8_s64(int64_t acc, float multiplier, const qir_requant *q, uint8_t *y) {
    *y = (uint8_t)qir_code((float)acc * multiplier, q);
}

static inline void qir_store_s16_s64(int64_t acc, float multiplier, const qir_requant *q, int16_t *y) {
    *y = (int16_t)qir_code((float)acc * multiplier, q);
}

static inline void qir_store_f32_s64(int64_t acc, float multiplier, const qir_requant *q, float *y) {
    (void)q;
    *y = (float)acc * multiplier;
}

/* Activations that fit int16 as they are: their zero point is 0. */
static inline void qir_widen_s16(const int16_t *QIR_RESTRICT x, int32_t zero_point, int32_t count,
                                 int16_t *QIR_RESTRICT y) {
    (void)zero_point;
    (void)memcpy(y, x, (size_t)count * sizeof(int16_t));
}

/* As qir_dot_rows. The binder checks where int32 holds every sum. For 8-bit weights it holds 256 products, and parts of
   so many are summed in int64: 256 * 2^15 * 2^7 = 2^30. Products with 16-bit weights, up to 2^30 themselves, are summed in
   halves: product = 2^16 * (product >> 16) + (product & 0xffff), and 256 * 2^16 = 2^24. Loops on int32 become vector code. */
static inline void qir_dot_rows_s16(const int16_t *QIR_RESTRICT x, int32_t rows, const int16_t *QIR_RESTRICT w,
                                    int32_t depth, int32_t count, int32_t *QIR_RESTRICT acc) {
    int32_t i, j, k;
    for (j = 0; j < count; ++j, w += depth) {
        for (i = 0; i < rows; ++i) {
            const int16_t *const from = x + (ptrdiff_t)i * depth;
            int32_t sum = 0;
            for (k = 0; k < depth; ++k) {
                sum += (int32_t)from[k] * w[k];
            }
            acc[i * 16 + j] = sum;
        }
    }
}

static inline void qir_dot_rows_s8_s64(const int16_t *QIR_RESTRICT x, int32_t rows, const int8_t *QIR_RESTRICT w,
                                       int32_t depth, int32_t count, int64_t *QIR_RESTRICT acc) {
    int32_t i, j, first;
    for (j = 0; j < count; ++j, w += depth) {
        for (i = 0; i < rows; ++i) {
            const int16_t *const from = x + (ptrdiff_t)i * depth;
            int64_t sum = 0;
            for (first = 0; first < depth; first += 256) {
                sum += qir_dot_1x1(from + first, w + first, depth - first < 256 ? depth - first : 256);
            }
            acc[i * 16 + j] = sum;
        }
    }
}

static inline void qir_dot_rows_s16_s64(const int16_t *QIR_RESTRICT x, int32_t rows, const int16_t *QIR_RESTRICT w,
                                        int32_t depth, int32_t count, int64_t *QIR_RESTRICT acc) {
    int32_t i, j, k, first;
    for (j = 0; j < count; ++j, w += depth) {
        for (i = 0; i < rows; ++i) {
            const int16_t *const from = x + (ptrdiff_t)i * depth;
            int64_t sum = 0;
            for (first = 0; first < depth; first += 256) {
                const int32_t last = depth - first < 256 ? depth : first + 256;
                int32_t high = 0, low = 0;
                for (k = first; k < last; ++k) {
                    const int32_t product = (int32_t)from[k] * w[k];
                    high += product >> 16; /* arithmetic, as every compiler has it */
                    low += product & 0xffff;
                }
                sum += (int64_t)high * 65536 + low;
            }
            acc[i * 16 + j] = sum;
        }
    }
}

#endif
