#include "layernorm_u8.h"

/* template: begin */
#define QIR_X uint8_t
#define QIR_Y uint8_t
/* template: end */

/* The root of a number of 61 or 62 bits, bit by bit. */
static uint32_t qir_layernorm_fixed_T_root(uint64_t number) {
    uint64_t root = 0, bit;
    for (bit = (uint64_t)1 << 60; bit; bit >>= 2) {
        if (number >= root + bit) {
            number -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}

/* (2^61 - 1) / d of 2^30 <= d < 2^31, bit by bit: the first 30 ones are less than d. */
static int32_t qir_layernorm_fixed_T_reciprocal(uint32_t d) {
    uint32_t rest = 0x3fffffffu, quotient = 0;
    int32_t i;
    for (i = 0; i < 31; ++i) {
        rest = rest << 1 | 1;
        quotient <<= 1;
        if (rest >= d) {
            rest -= d;
            quotient |= 1;
        }
    }
    return (int32_t)quotient;
}

/* y may be x: a row is read before it is written. */
void qir_layernorm_fixed_T__portable(const qir_layernorm_fixed_shape *s, const int32_t *scale, const int64_t *bias,
                                     const QIR_X *x, QIR_Y *y) {
    const int32_t size = s->size;
    int32_t row, i;
    for (row = 0; row < s->rows; ++row, x += size, y += size) {
        int64_t squares = 0, spread;
        int32_t sum = 0, factor, down = 38 - s->fraction / 2;
        for (i = 0; i < size; ++i) {
            sum += x[i];
            squares += x[i] * x[i];
        }
        spread = size * squares - (int64_t)sum * sum;
        spread = (spread > 1 ? spread : 1) * ((int64_t)1 << s->fraction) + s->epsilon;
        for (; spread < (int64_t)1 << 60; spread *= 4) {
            --down;
        }
        factor = qir_layernorm_fixed_T_reciprocal(qir_layernorm_fixed_T_root((uint64_t)spread));
        for (i = 0; i < size; ++i) {
            const int64_t half = (int64_t)1 << (down - 1);
            const int32_t z = (int32_t)(((int64_t)(size * x[i] - sum) * factor + half) >> down);
            int64_t v = ((int64_t)z * scale[i] + bias[i]) >> s->shift;
            v = v > s->requant.low ? v : s->requant.low;
            v = v < s->requant.high ? v : s->requant.high;
            y[i] = (QIR_Y)((int32_t)v + s->requant.zero_point);
        }
    }
}
