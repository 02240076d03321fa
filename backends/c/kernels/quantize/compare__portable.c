#include "quantize.h"

/* y = zero + 1 where x > high (or x >= high, unless `strict`), zero - 1 where x < low, else zero + between. Ternary codes:
   strict, low = -high, between 0. Binary ones: low = high, between -1, which also is what NaN becomes. */
void qir_compare_f32_u8__portable(float high, int32_t strict, float low, int32_t between, int32_t zero, size_t count,
                                  const float *QIR_RESTRICT x, uint8_t *QIR_RESTRICT y) {
    size_t i;
    #if defined(__clang__) && defined(__arm__)
    #pragma clang loop vectorize(disable) /* the vectors of 32-bit ARM take subnormal numbers for zero */
    #endif
    for (i = 0; i < count; ++i) {
        const int32_t above = strict ? x[i] > high : x[i] >= high;
        y[i] = (uint8_t)(zero + (above ? 1 : x[i] < low ? -1 : between));
    }
}
