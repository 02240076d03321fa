/* Requantization by integers alone, for processors without floating-point instructions.

   A float32 multiplier is m = f * 2^(e - 150) with 24 bits f and its exponent field e: both are read off its bits. What
   is computed is floor(acc * m + 1/2): one exact product, one rounding, halves up. Shifts to the right of negative
   numbers copy the sign, as all compilers in question do. */
#ifndef QIR_FIXED_H
#define QIR_FIXED_H

#include "qir_runtime.h"

static inline uint32_t qir_bits_of(float v) {
    uint32_t bits;
    (void)memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* gcc would multiply a number that it sees to be positive as one without sign, and then take that back. */
#if defined(__GNUC__)
#define QIR_SIGNED(number) __asm__("" : "+r"(number))
#else
#define QIR_SIGNED(number) ((void)0)
#endif

/* floor(acc * m + 1/2), or what lies as far beyond any code on the same side.

   With g = 2^7 f, which fits 31 bits, acc * m = acc * g / 2^(157 - e). Of that product the upper 32 bits h suffice where
   157 - e = 33 + r with r >= 0: floor((acc * g + 2^(32 + r)) / 2^(33 + r)) = floor((h + 2^r) / 2^(r + 1)) =
   (floor(h / 2^r) + 1) / 2, rounded down. Larger multipliers become 2^-k of themselves, and acc 2^k times itself: where
   that would not fit 31 bits, 2^27 and more is far beyond any code. */
static inline int32_t qir_scaled(int32_t acc, float m) {
    const uint32_t bits = qir_bits_of(m);
    int32_t g = (int32_t)((bits << 7 | 0x40000000u) & 0x7fffffffu), r = 124 - (int32_t)(bits >> 23);
    if (r < 0) {
        const int32_t factor = (int32_t)1 << (r > -30 ? -r : 30), most = ((int32_t)1 << 30) / factor;
        acc = (acc > most ? most : acc < -most ? -most : acc) * factor;
        r = 0;
    }
    QIR_SIGNED(g);
    acc = (int32_t)((int64_t)acc * g >> 32);
    return ((acc >> (r < 31 ? r : 31)) + 1) >> 1;
}

static inline int32_t qir_bounded(int32_t v, const qir_requant *q) {
    v = v > q->low ? v : q->low;
    v = v < q->high ? v : q->high;
    return v + q->zero_point;
}

/* As qir_store_u8 and the like. */
static inline void qir_fixed_u8(int32_t acc, float multiplier, const qir_requant *q, uint8_t *y) {
    *y = (uint8_t)qir_bounded(qir_scaled(acc, multiplier), q);
}

static inline void qir_fixed_s16(int32_t acc, float multiplier, const qir_requant *q, int16_t *y) {
    *y = (int16_t)qir_bounded(qir_scaled(acc, multiplier), q);
}

/* A product that, in place of its codes, stores their sum with other codes: by integers, as kernels/add_u8/add_u8.h has
   it. `requant` is that of the product, q that of the sums. */
typedef struct {
    int32_t own_multiplier;
    int32_t other_multiplier;
    int32_t offset;
    int32_t shift;
    qir_requant requant;
} qir_fixed_sum;

static inline void qir_fixed_sum_codes(const qir_fixed_sum *s, const qir_requant *q, const uint8_t *own,
                                       const uint8_t *other, int32_t width, uint8_t *y) {
    const qir_fixed_sum sum = *s;
    const qir_requant bounds = *q;
    int32_t i;
    for (i = 0; i < width; ++i) {
        const int32_t v = sum.offset + own[i] * sum.own_multiplier + other[i] * sum.other_multiplier;
        y[i] = (uint8_t)qir_bounded(v >> sum.shift, &bounds);
    }
}

/* Of accumulators of 64 bits, below 2^53: as acc * f / 2^(150 - e), where the last 32 bits of the product do not matter to
   a shift of 33 + r, and with a smaller one what does not fit 31 bits is beyond all codes. */
static inline int32_t qir_scaled_s64(int64_t acc, float m) {
    const int64_t factor = (int64_t)((qir_bits_of(m) & 0x7fffffu) | 0x800000u), far = (int64_t)1 << 30;
    const int32_t r = 117 - (int32_t)(qir_bits_of(m) >> 23);
    if (r < 0 || (acc < far && acc > -far)) {
        return qir_scaled((int32_t)(acc > far ? far : acc < -far ? -far : acc), m);
    }
    acc = (acc >> 32) * factor + (int64_t)((uint64_t)(uint32_t)acc * (uint64_t)factor >> 32);
    acc = ((acc >> (r < 62 ? r : 62)) + 1) >> 1;
    return (int32_t)(acc > far ? far : acc < -far ? -far : acc);
}

static inline void qir_fixed_u8_s64(int64_t acc, float multiplier, const qir_requant *q, uint8_t *y) {
    *y = (uint8_t)qir_bounded(qir_scaled_s64(acc, multiplier), q);
}

static inline void qir_fixed_s16_s64(int64_t acc, float multiplier, const qir_requant *q, int16_t *y) {
    *y = (int16_t)qir_bounded(qir_scaled_s64(acc, multiplier), q);
}

/* a / (float)count, as floating-point arithmetic rounds both: a normal, positive, and so the quotient; count > 0. */
static inline float qir_fixed_quotient(float a, int64_t count) {
    uint32_t part = (qir_bits_of(a) & 0x7fffffu) | 0x800000u, quotient = 0, whole, i;
    int32_t exponent = (int32_t)(qir_bits_of(a) >> 23);
    uint64_t wide = (uint64_t)count;
    float result;
    if (wide >> 24) {
        uint64_t rest;
        int32_t down = 1;
        while (wide >> 24 >> down) {
            ++down;
        }
        rest = wide & (((uint64_t)1 << down) - 1);
        wide >>= down;
        wide += (rest << 1) + (wide & 1) > (uint64_t)1 << down ? 1 : 0;
        exponent -= down;
    }
    for (whole = (uint32_t)wide; whole < 0x800000u; whole <<= 1) {
        ++exponent;
    }
    exponent -= 23;
    if (whole >> 24) { /* rounded up to 2^24 */
        whole >>= 1;
        --exponent;
    }
    if (part < whole) {
        part <<= 1;
        --exponent;
    }
    for (i = 0; i < 24; ++i) { /* 24 bits of part / whole, the first of them 1 */
        const uint32_t bit = part >= whole ? 1 : 0;
        part -= bit ? whole : 0;
        quotient = quotient << 1 | bit;
        part <<= 1;
    }
    quotient += part + (quotient & 1) > whole ? 1 : 0; /* part is twice the remainder */
    quotient += (uint32_t)(exponent - 1) << 23;
    (void)memcpy(&result, &quotient, sizeof result);
    return result;
}

#endif
