/* Eight floats at a time, in two registers: what the words of qir_f32_words.h mean on 64-bit ARM. Two, because processors
   that keep the order of instructions otherwise wait for each result of a chain of them. */
#ifndef QIR_F32_ASIMD_H
#define QIR_F32_ASIMD_H

#include <arm_neon.h>

#include "qir_vector.h"

#define QIR_ASIMD_ISA
#define QIR_ASIMD_WORD static QIR_INLINE

typedef struct {
    float32x4_t low, high;
} qir_asimd_f32;
typedef struct {
    uint32x4_t low, high;
} qir_asimd_mask;
#define QIR_ASIMD_WIDTH 8
#define QIR_ASIMD_BY_LANE 1
/* Rows of a tile of two vectors: their sums, the weights and four values of each row fit the registers; of a fifth row gcc
   would keep a sum in memory. */
#define QIR_ASIMD_TALLEST 4

/* A word that does with both registers what an instruction does with one. */
#define QIR_ASIMD_OF1(word, one)                                        \
    QIR_ASIMD_WORD qir_asimd_f32 qir_asimd_##word(qir_asimd_f32 v) {    \
        const qir_asimd_f32 result = {one(v.low), one(v.high)};         \
        return result;                                                  \
    }
#define QIR_ASIMD_OF2(type, word, one)                                                   \
    QIR_ASIMD_WORD type qir_asimd_##word(qir_asimd_f32 a, qir_asimd_f32 b) {             \
        const type result = {one(a.low, b.low), one(a.high, b.high)};                    \
        return result;                                                                   \
    }
QIR_ASIMD_OF1(sqrt, vsqrtq_f32)
QIR_ASIMD_OF1(rint, vrndnq_f32)
QIR_ASIMD_OF1(floor, vrndmq_f32)
QIR_ASIMD_OF1(ceil, vrndpq_f32)
QIR_ASIMD_OF1(abs, vabsq_f32)
QIR_ASIMD_OF1(neg, vnegq_f32)
QIR_ASIMD_OF2(qir_asimd_f32, add, vaddq_f32)
QIR_ASIMD_OF2(qir_asimd_f32, sub, vsubq_f32)
QIR_ASIMD_OF2(qir_asimd_f32, mul, vmulq_f32)
QIR_ASIMD_OF2(qir_asimd_f32, div, vdivq_f32)
/* NaN where either operand is. */
QIR_ASIMD_OF2(qir_asimd_f32, max, vmaxq_f32)
QIR_ASIMD_OF2(qir_asimd_f32, min, vminq_f32)
QIR_ASIMD_OF2(qir_asimd_mask, less, vcltq_f32)
QIR_ASIMD_OF2(qir_asimd_mask, same, vceqq_f32)

QIR_ASIMD_WORD qir_asimd_f32 qir_asimd_load(const float *from) {
    const qir_asimd_f32 v = {vld1q_f32(from), vld1q_f32(from + 4)};
    return v;
}

QIR_ASIMD_WORD void qir_asimd_store(float *to, qir_asimd_f32 v) {
    vst1q_f32(to, v.low);
    vst1q_f32(to + 4, v.high);
}

/* There are no masks: up to four lanes as a pair and one more. */
QIR_ASIMD_WORD float32x4_t qir_asimd_load_few(const float *from, int32_t count) {
    const float32x4_t none = vdupq_n_f32(0.0f);
    switch (count) {
        case 0: return none;
        case 1: return vld1q_lane_f32(from, none, 0);
        case 2: return vcombine_f32(vld1_f32(from), vget_low_f32(none));
        case 3: return vld1q_lane_f32(from + 2, vcombine_f32(vld1_f32(from), vget_low_f32(none)), 2);
        default: return vld1q_f32(from);
    }
}

QIR_ASIMD_WORD void qir_asimd_store_few(float *to, int32_t count, float32x4_t v) {
    switch (count) {
        case 0: break;
        case 1: vst1q_lane_f32(to, v, 0); break;
        case 2: vst1_f32(to, vget_low_f32(v)); break;
        case 3:
            vst1_f32(to, vget_low_f32(v));
            vst1q_lane_f32(to + 2, v, 2);
            break;
        default: vst1q_f32(to, v); break;
    }
}

QIR_ASIMD_WORD qir_asimd_f32 qir_asimd_load_part(const float *from, int32_t count) {
    qir_asimd_f32 v;
    if (count < 4) {
        v.low = qir_asimd_load_few(from, count);
        v.high = vdupq_n_f32(0.0f);
    } else {
        v.low = vld1q_f32(from);
        v.high = qir_asimd_load_few(from + 4, count - 4);
    }
    return v;
}

QIR_ASIMD_WORD void qir_asimd_store_part(float *to, int32_t count, qir_asimd_f32 v) {
    if (count < 4) {
        qir_asimd_store_few(to, count, v.low);
    } else {
        vst1q_f32(to, v.low);
        qir_asimd_store_few(to + 4, count - 4, v.high);
    }
}

QIR_ASIMD_WORD qir_asimd_f32 qir_asimd_pick(qir_asimd_mask mask, qir_asimd_f32 yes, qir_asimd_f32 no) {
    const qir_asimd_f32 v = {vbslq_f32(mask.low, yes.low, no.low), vbslq_f32(mask.high, yes.high, no.high)};
    return v;
}

QIR_ASIMD_WORD qir_asimd_f32 qir_asimd_part(qir_asimd_f32 v, int32_t count, qir_asimd_f32 rest) {
    static const int32_t lanes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const int32x4_t end = vdupq_n_s32(count);
    const qir_asimd_mask first = {vcltq_s32(vld1q_s32(lanes), end), vcltq_s32(vld1q_s32(lanes + 4), end)};
    return qir_asimd_pick(first, v, rest);
}

QIR_ASIMD_WORD qir_asimd_mask qir_asimd_either(qir_asimd_mask a, qir_asimd_mask b) {
    const qir_asimd_mask mask = {vorrq_u32(a.low, b.low), vorrq_u32(a.high, b.high)};
    return mask;
}

QIR_ASIMD_WORD qir_asimd_f32 qir_asimd_all(float number) {
    const qir_asimd_f32 v = {vdupq_n_f32(number), vdupq_n_f32(number)};
    return v;
}

QIR_ASIMD_WORD qir_asimd_f32 qir_asimd_fma(qir_asimd_f32 a, qir_asimd_f32 b, qir_asimd_f32 c) {
    const qir_asimd_f32 v = {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
    return v;
}

QIR_ASIMD_WORD qir_asimd_f32 qir_asimd_fnma(qir_asimd_f32 a, qir_asimd_f32 b, qir_asimd_f32 c) {
    const qir_asimd_f32 v = {vfmsq_f32(c.low, a.low, b.low), vfmsq_f32(c.high, a.high, b.high)};
    return v;
}

/* Four neighbours, any of which can be a factor of whole vectors. */
typedef float32x4_t qir_asimd_four;

QIR_ASIMD_WORD float32x4_t qir_asimd_load_four(const float *from) {
    return vld1q_f32(from);
}

#define QIR_ASIMD_FMA_LANE(number)                                                                       \
    v.low = vfmaq_laneq_f32(c.low, b.low, four, number);                                                 \
    v.high = vfmaq_laneq_f32(c.high, b.high, four, number)

/* four[lane] * b + c */
QIR_ASIMD_WORD qir_asimd_f32 qir_asimd_fma_lane(float32x4_t four, int32_t lane, qir_asimd_f32 b, qir_asimd_f32 c) {
    qir_asimd_f32 v;
    switch (lane) {
        case 0: QIR_ASIMD_FMA_LANE(0); break;
        case 1: QIR_ASIMD_FMA_LANE(1); break;
        case 2: QIR_ASIMD_FMA_LANE(2); break;
        default: QIR_ASIMD_FMA_LANE(3); break;
    }
    return v;
}

/* |size| with the sign of `sign`. */
QIR_ASIMD_WORD qir_asimd_f32 qir_asimd_signed(qir_asimd_f32 size, qir_asimd_f32 sign) {
    const qir_asimd_mask bit = {vdupq_n_u32(0x80000000u), vdupq_n_u32(0x80000000u)};
    return qir_asimd_pick(bit, sign, size);
}

/* v * 2^n for whole n in [-252, 254]: halves of n stay normal, and only the last product is rounded. */
QIR_ASIMD_WORD float32x4_t qir_asimd_scale4(float32x4_t v, float32x4_t n) {
    const int32x4_t whole = vcvtq_s32_f32(n), one = vreinterpretq_s32_f32(vdupq_n_f32(1.0f));
    const int32x4_t half = vshrq_n_s32(whole, 1), rest = vsubq_s32(whole, half);
    v = vmulq_f32(v, vreinterpretq_f32_s32(vaddq_s32(one, vshlq_n_s32(half, 23))));
    return vmulq_f32(v, vreinterpretq_f32_s32(vaddq_s32(one, vshlq_n_s32(rest, 23))));
}

/* v = fraction * 2^n, fraction in [1, 2), of normal numbers above zero. */
QIR_ASIMD_WORD float32x4_t qir_asimd_exponent4(float32x4_t v) {
    const uint32x4_t bits = vshrq_n_u32(vreinterpretq_u32_f32(v), 23);
    return vcvtq_f32_s32(vsubq_s32(vreinterpretq_s32_u32(bits), vdupq_n_s32(127)));
}

QIR_ASIMD_WORD float32x4_t qir_asimd_fraction4(float32x4_t v) {
    return vbslq_f32(vdupq_n_u32(0x7fffffu), v, vdupq_n_f32(1.0f));
}

QIR_ASIMD_OF2(qir_asimd_f32, scale, qir_asimd_scale4)
QIR_ASIMD_OF1(exponent, qir_asimd_exponent4)
QIR_ASIMD_OF1(fraction, qir_asimd_fraction4)

/* ((0 + 4) + (1 + 5)) + ((2 + 6) + (3 + 7)) */
QIR_ASIMD_WORD float qir_asimd_sum(qir_asimd_f32 v) {
    return vaddvq_f32(vaddq_f32(v.low, v.high));
}

QIR_ASIMD_WORD float qir_asimd_most(qir_asimd_f32 v) {
    return vmaxvq_f32(vmaxq_f32(v.low, v.high));
}

#endif
