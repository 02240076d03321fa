/* What the sums of a pixel become on vectors, by groups of channels; functions return where the next pixel's results
   start. Sums, multipliers and thresholds are filled up to whole groups, with thresholds that nothing reaches. */
#ifndef QIR_CONV_BITS_RESULTS_H
#define QIR_CONV_BITS_RESULTS_H

#include "conv_bits_vectors.h"

/* qir_bits_<isa>_codes_<short>: codes or reals of a C type; qir_bits_<isa>_row_<short> makes a group of them. */
#define QIR_BITS_CODES(isa, short, type, target, group, numbers, widened)                                            \
    target static QIR_INLINE type *qir_bits_##isa##_codes_##short(const qir_conv_bits_shape *s, const int32_t *sums, \
                                                                  const float *multiplier, type *y) {                \
        const numbers q = widened(&s->requant);                                                                      \
        int32_t m;                                                                                                   \
        for (m = 0; m + (group) <= s->outputs; m += (group)) {                                                       \
            qir_bits_##isa##_row_##short(sums + m, multiplier + m, q, y + m);                                        \
        }                                                                                                            \
        if (m < s->outputs) {                                                                                        \
            type part[group];                                                                                        \
            qir_bits_##isa##_row_##short(sums + m, multiplier + m, q, part);                                         \
            (void)memcpy(y + m, part, (size_t)(s->outputs - m) * sizeof(type));                                            \
        }                                                                                                            \
        return y + s->outputs;                                                                                       \
    }

/* qir_bits_<isa>_numbers: numbers as codes; qir_bits_<isa>_group makes a group of them. */
#define QIR_BITS_NUMBERS(isa, target, group)                                                                      \
    target static QIR_INLINE uint8_t *qir_bits_##isa##_numbers(const qir_conv_bits_shape *s, const int32_t *sums, \
                                                               const int32_t *threshold, uint8_t *y) {            \
        const ptrdiff_t pitch = qir_bits_pitch(s);                                                                \
        int32_t m;                                                                                                \
        for (m = 0; m + (group) <= s->outputs; m += (group)) {                                                    \
            qir_bits_##isa##_group(s, sums + m, threshold + m, pitch, y + m);                                     \
        }                                                                                                         \
        if (m < s->outputs) {                                                                                     \
            uint8_t part[group];                                                                                  \
            qir_bits_##isa##_group(s, sums + m, threshold + m, pitch, part);                                      \
            (void)memcpy(y + m, part, (size_t)(s->outputs - m));                                                        \
        }                                                                                                         \
        return y + s->outputs;                                                                                    \
    }

/* qir_bits_<isa>_packed: the number of thresholds that are reached, at most three, in binary: what
   qir_bits_<isa>_reached says of each is added, the carry is the high bit. */
#define QIR_BITS_PACKED(isa, target, group)                                                                      \
    target static QIR_INLINE uint8_t *qir_bits_##isa##_packed(const qir_conv_bits_shape *s, const int32_t *sums, \
                                                              const int32_t *threshold, uint8_t *y) {            \
        const ptrdiff_t pitch = qir_bits_pitch(s);                                                               \
        const int32_t bytes = (s->outputs + 7) / 8;                                                              \
        int32_t m, level;                                                                                        \
        for (m = 0; m < s->outputs; m += (group)) {                                                              \
            const int32_t at = m / 8;                                                                            \
            uint64_t low = 0, high = 0;                                                                          \
            for (level = 0; level < s->levels - 1; ++level) {                                                    \
                const uint64_t reached = qir_bits_##isa##_reached(sums + m, threshold + level * pitch + m);      \
                high |= low & reached;                                                                           \
                low ^= reached;                                                                                  \
            }                                                                                                    \
            qir_bits_store(low, bytes - at, (group) / 8, y + at);                                                \
            if (s->y_bits == 2) {                                                                                \
                qir_bits_store(high, bytes - at, (group) / 8, y + bytes + at);                                   \
            }                                                                                                    \
        }                                                                                                        \
        return y + (ptrdiff_t)bytes * s->y_bits;                                                                 \
    }

#define QIR_BITS_RESULTS(isa, target, group, numbers, widened)        \
    QIR_BITS_CODES(isa, u8, uint8_t, target, group, numbers, widened) \
    QIR_BITS_CODES(isa, f32, float, target, group, numbers, widened)  \
    QIR_BITS_NUMBERS(isa, target, group) QIR_BITS_PACKED(isa, target, group)

/* The bits of a group, or as many bytes of them as are left. */
static QIR_INLINE void qir_bits_store(uint64_t bits, int32_t left, int32_t bytes, uint8_t *y) {
    if (left >= bytes) {
        (void)memcpy(y, &bits, (size_t)bytes);
    } else {
        (void)memcpy(y, &bits, (size_t)left);
    }
}

#endif
