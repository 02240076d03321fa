/* Ones counted by cnt on NEON: lanes of 16 bits are 8 channels, a panel is four vectors, a step is 16 bits of each.

   Counts of bytes are added in pairs to the lanes of their channels, each of which gets at most 16 a step. */
#ifndef QIR_CONV_BITS_NEON_H
#define QIR_CONV_BITS_NEON_H

#include "../../runtime/qir_neon.h"
#include "conv_bits_results.h"

#define QIR_NEON_TARGET

/* Four rows side by side, so that one load spreads a step of each over a vector. */
static QIR_INLINE qir_bits_rows qir_bits_neon_arranged(const uint8_t *from, int32_t rows, int32_t planes,
                                                       ptrdiff_t size, uint8_t *to) {
    const qir_bits_rows one = {from, planes * size, size}, four = {to, 2, 4 * size};
    const uint8_t *const last = from + planes * size;
    if (rows != 4) {
        return one;
    }
    for (; from < last; from += 8, to += 32) {
        uint16x4x4_t v;
        v.val[0] = vreinterpret_u16_u8(vld1_u8(from));
        v.val[1] = vreinterpret_u16_u8(vld1_u8(from + one.row));
        v.val[2] = vreinterpret_u16_u8(vld1_u8(from + 2 * one.row));
        v.val[3] = vreinterpret_u16_u8(vld1_u8(from + 3 * one.row));
        vst4_u16((uint16_t *)(void *)to, v);
    }
    return four;
}

/* start + factor * eight counts. */
static QIR_INLINE void qir_bits_neon_add(uint16x8_t counts, int16_t factor, const int32_t *start, int32_t *sums) {
    const int16x8_t ones = vreinterpretq_s16_u16(counts);
    vst1q_s32(sums, vmlal_n_s16(vld1q_s32(start), vget_low_s16(ones), factor));
    vst1q_s32(sums + 4, vmlal_n_s16(vld1q_s32(start + 4), vget_high_s16(ones), factor));
}

/* sum += ones of both joined. Left to itself clang would join all vectors of several steps before it counts any. */
#if defined(__aarch64__) && defined(__GNUC__)
#define QIR_NEON_BITS_JOIN(join, sum, a, b)                                                            \
    {                                                                                                  \
        uint8x16_t both;                                                                               \
        __asm__ volatile(#join " %1.16b, %2.16b, %3.16b\n\tcnt %1.16b, %1.16b\n\tuadalp %0.8h, %1.16b" \
                : "+w"(sum), "=&w"(both)                                                               \
                : "w"(a), "w"(b));                                                                     \
    }
#else
#define QIR_NEON_BITS_JOIN(join, sum, a, b) \
    sum = vpadalq_u8(sum, vcntq_u8(v##join##q_u8(a, vreinterpretq_u8_u16(b))));
#endif

/* A panel is counted at once, or, with the 16 registers of 32-bit ARM, by halves. */
#if defined(__aarch64__)
#define QIR_NEON_BITS_HALVES 1
#define QIR_NEON_BITS_VECTORS(each, i) each(a, i, 0) each(b, i, 1) each(c, i, 2) each(d, i, 3)
#define QIR_NEON_BITS_SPREAD1 const uint16x8_t spread0 = vld1q_dup_u16((const uint16_t *)(const void *)x);
#define QIR_NEON_BITS_SPREAD4                                                     \
    const uint16x8x4_t spread = vld4q_dup_u16((const uint16_t *)(const void *)x); \
    const uint16x8_t spread0 = spread.val[0], spread1 = spread.val[1], spread2 = spread.val[2], spread3 = spread.val[3];
#define QIR_NEON_BITS_WEIGHTS const uint8x16x4_t bits = vld1q_u8_x4(w);
#define QIR_NEON_BITS_OF(vector) bits.val[vector]
#else
#define QIR_NEON_BITS_HALVES 2
#define QIR_NEON_BITS_VECTORS(each, i) each(a, i, 0) each(b, i, 1)
#define QIR_NEON_BITS_DUP(i) const uint16x8_t spread##i = vld1q_dup_u16((const uint16_t *)(const void *)x + i);
#define QIR_NEON_BITS_SPREAD1 QIR_NEON_BITS_DUP(0)
#define QIR_NEON_BITS_SPREAD4 QIR_EACH_4(QIR_NEON_BITS_DUP)
#define QIR_NEON_BITS_WEIGHTS const uint8x16_t bits0 = vld1q_u8(w), bits1 = vld1q_u8(w + 16);
#define QIR_NEON_BITS_OF(vector) bits##vector
#endif
#define QIR_NEON_BITS_ZERO(a, i, vector) uint16x8_t a##i = vdupq_n_u16(0);
#define QIR_NEON_BITS_BEGIN(i) QIR_NEON_BITS_VECTORS(QIR_NEON_BITS_ZERO, i)
#define QIR_NEON_BITS_XOR(a, i, vector) QIR_NEON_BITS_JOIN(eor, a##i, QIR_NEON_BITS_OF(vector), spread##i)
#define QIR_NEON_BITS_AND(a, i, vector) QIR_NEON_BITS_JOIN(and, a##i, QIR_NEON_BITS_OF(vector), spread##i)
#define QIR_NEON_BITS_XORS(i) QIR_NEON_BITS_VECTORS(QIR_NEON_BITS_XOR, i)
#define QIR_NEON_BITS_ANDS(i) QIR_NEON_BITS_VECTORS(QIR_NEON_BITS_AND, i)
#define QIR_NEON_BITS_STEP(n, joins)                                      \
    {                                                                     \
        QIR_NEON_BITS_WEIGHTS QIR_NEON_BITS_SPREAD##n QIR_EACH_##n(joins) \
        QIR_ADVANCE(w, 64);                                               \
        QIR_ADVANCE(x, 2 * n);                                            \
    }
#define QIR_NEON_BITS_STORE(a, i, vector) \
    qir_bits_neon_add(a##i, factor, start + (i)*count->step + 8 * vector, sums + (i)*count->pitch + 8 * vector);
#define QIR_NEON_BITS_END(i) QIR_NEON_BITS_VECTORS(QIR_NEON_BITS_STORE, i)

#define QIR_NEON_BITS(name, n, joins)                                                                     \
    QIR_IN_ORDER static void qir_bits_neon_##name##n(const qir_bits_count *count, const uint8_t *weights, \
                                                     int32_t *sums) {                                     \
        const int16_t factor = (int16_t)count->factor;                                                    \
        const int32_t *start = count->start;                                                              \
        int32_t half, left;                                                                               \
        for (half = 0; half < QIR_NEON_BITS_HALVES; ++half, start += 16, sums += 16) {                    \
            const uint8_t *x = count->x, *w = weights + 32 * half;                                        \
            QIR_EACH_##n(QIR_NEON_BITS_BEGIN) for (left = count->steps / 4; left; --left) {               \
                QIR_NEON_BITS_STEP(n, joins) QIR_NEON_BITS_STEP(n, joins)                                 \
                QIR_NEON_BITS_STEP(n, joins) QIR_NEON_BITS_STEP(n, joins)                                 \
            }                                                                                             \
            for (left = count->steps % 4; left; --left) {                                                 \
                QIR_NEON_BITS_STEP(n, joins)                                                              \
            }                                                                                             \
            QIR_EACH_##n(QIR_NEON_BITS_END)                                                               \
        }                                                                                                 \
    }

QIR_NEON_BITS(xor, 1, QIR_NEON_BITS_XORS) QIR_NEON_BITS(xor, 4, QIR_NEON_BITS_XORS)
QIR_NEON_BITS(and, 1, QIR_NEON_BITS_ANDS) QIR_NEON_BITS(and, 4, QIR_NEON_BITS_ANDS)

/* 16 results. */
#define QIR_NEON_BITS_ROW(store16)                                                                              \
    const int32x4_t acc[4] = {vld1q_s32(sums), vld1q_s32(sums + 4), vld1q_s32(sums + 8), vld1q_s32(sums + 12)}; \
    const float32x4_t scale[4] = {vld1q_f32(multiplier), vld1q_f32(multiplier + 4), vld1q_f32(multiplier + 8),  \
                                  vld1q_f32(multiplier + 12)};                                                  \
    store16(acc, scale, q, y);

static QIR_INLINE void qir_bits_neon_row_u8(const int32_t *sums, const float *multiplier, qir_requant4 q, uint8_t *y) {
    QIR_NEON_BITS_ROW(qir_neon_store16_u8)
}

static QIR_INLINE void qir_bits_neon_row_f32(const int32_t *sums, const float *multiplier, qir_requant4 q, float *y) {
    QIR_NEON_BITS_ROW(qir_neon_store16_f32)
}

static QIR_INLINE uint16x4_t qir_bits_neon_reached4(const int32_t *sums, const int32_t *threshold) {
    return vmovn_u32(vcgeq_s32(vld1q_s32(sums), vld1q_s32(threshold)));
}

/* Bytes of ones where 16 sums reach their thresholds. */
static QIR_INLINE uint8x16_t qir_bits_neon_reached16(const int32_t *sums, const int32_t *threshold) {
    const uint16x8_t low = vcombine_u16(qir_bits_neon_reached4(sums, threshold),
                                        qir_bits_neon_reached4(sums + 4, threshold + 4));
    const uint16x8_t high = vcombine_u16(qir_bits_neon_reached4(sums + 8, threshold + 8),
                                         qir_bits_neon_reached4(sums + 12, threshold + 12));
    return vcombine_u8(vmovn_u16(low), vmovn_u16(high));
}

/* A bit for each of 16 sums: each byte keeps its own, neighbours are added three times. */
static QIR_INLINE uint64_t qir_bits_neon_reached(const int32_t *sums, const int32_t *threshold) {
    const uint8x8_t own = vcreate_u8(UINT64_C(0x8040201008040201));
    const uint8x16_t bits = vandq_u8(qir_bits_neon_reached16(sums, threshold), vcombine_u8(own, own));
    uint8x8_t sum = vpadd_u8(vget_low_u8(bits), vget_high_u8(bits));
    sum = vpadd_u8(sum, sum);
    return vget_lane_u16(vreinterpret_u16_u8(vpadd_u8(sum, sum)), 0);
}

/* 16 codes: y_low + y_step * thresholds that are reached. */
static QIR_INLINE void qir_bits_neon_group(const qir_conv_bits_shape *s, const int32_t *sums,
                                             const int32_t *threshold, ptrdiff_t pitch, uint8_t *y) {
    const uint8x16_t step = vdupq_n_u8((uint8_t)s->y_step);
    uint8x16_t codes = vdupq_n_u8((uint8_t)s->y_low);
    int32_t level;
    for (level = 1; level < s->levels; ++level, threshold += pitch) {
        codes = vaddq_u8(codes, vandq_u8(qir_bits_neon_reached16(sums, threshold), step));
    }
    vst1q_u8(y, codes);
}

QIR_BITS_RESULTS(neon, QIR_NEON_TARGET, 16, qir_requant4, qir_widen_requant4)

#endif
