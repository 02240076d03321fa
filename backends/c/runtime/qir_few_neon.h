/* Weights of 1 to 5 bits on ARM's vectors: 64 codes take 8 b bytes. Of 1, 2 and 4 bits code 8 b j + i lies in bits
   b j .. b j + b - 1 of byte i; 3 and 5 bits are the lower 2 or 4 so, then the upper one. A code is stored as
   code + 2^(b-1), one bit set for 1 and clear for -1. `bits` is constant wherever these functions are inlined. */
#ifndef QIR_FEW_NEON_H
#define QIR_FEW_NEON_H

#include "qir_neon.h"

/* Codes 16 part .. 16 part + 15 of 64 in 2 or 4 bits, as stored. */
static QIR_INLINE uint8x16_t qir_neon_field(const uint8_t *from, int32_t bits, int32_t part) {
    if (bits == 4) {
        const uint8x16_t all = vld1q_u8(from + part % 2 * 16);
        return part < 2 ? vandq_u8(all, vdupq_n_u8(15)) : vshrq_n_u8(all, 4);
    }
    return vandq_u8(vshlq_u8(vld1q_u8(from), vdupq_n_s8((int8_t)(part * -2))), vdupq_n_u8(3));
}

/* In one bit: all bits of a byte are set where the code's is. */
static QIR_INLINE uint8x16_t qir_neon_set(const uint8_t *from, int32_t part) {
    const uint8x8_t all = vld1_u8(from), first = vdup_n_u8((uint8_t)(1 << 2 * part));
    return vtstq_u8(vcombine_u8(all, all), vcombine_u8(first, vshl_n_u8(first, 1)));
}

/* Writes `groups` times 64 codes as int8. */
static QIR_INLINE void qir_neon_unpack(const uint8_t *QIR_RESTRICT from, int32_t bits, ptrdiff_t groups,
                                       int8_t *QIR_RESTRICT to) {
    const int32_t lower = bits == 3 || bits == 5 ? bits - 1 : bits;
    const uint8x16_t zero = vdupq_n_u8((uint8_t)(1 << (bits - 1))), one = vdupq_n_u8(1);
    int32_t part;
    for (; groups; --groups, from += 8 * bits) {
        for (part = 0; part < 4; ++part, to += 16) {
            uint8x16_t codes;
            if (bits == 1) {
                codes = vornq_u8(one, qir_neon_set(from, part)); /* 1, or 255, which is -1 */
            } else {
                codes = qir_neon_field(from, lower, part);
                if (bits > lower) {
                    codes = vorrq_u8(codes, vandq_u8(qir_neon_set(from + 8 * lower, part), zero));
                }
                codes = vsubq_u8(codes, zero);
            }
            vst1q_s8(to, vreinterpretq_s8_u8(codes));
        }
    }
}

/* For each width. */
#define QIR_NEON_UNPACK(b)                                                                       \
    static inline void qir_neon_unpack_s##b(const uint8_t *from, ptrdiff_t groups, int8_t *to) { \
        qir_neon_unpack(from, b, groups, to);                                                    \
    }
QIR_NEON_UNPACK(1)
QIR_NEON_UNPACK(2)
QIR_NEON_UNPACK(3)
QIR_NEON_UNPACK(4)
QIR_NEON_UNPACK(5)

#endif
