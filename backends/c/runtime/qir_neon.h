/* Accumulators to results on ARM's vectors, as qir_store_u8 and qir_store_f32 do it for one: on 64 bits, and on 32
   bits, which lack conversions that round to nearest. */
#ifndef QIR_NEON_H
#define QIR_NEON_H

#include <arm_neon.h>

#include "qir_vector.h"

#if !defined(__ARM_NEON) && !defined(__ARM_NEON__)
#error "these kernels need NEON: build with -mfpu=neon"
#endif

/* A product that is to be added: clang's -ffp-contract=fast would fuse the two. */
#if defined(__GNUC__)
#define QIR_KEEP_PRODUCT(product) __asm__("" : "+w"(product))
#else
#define QIR_KEEP_PRODUCT(product) ((void)0)
#endif

/* As QIR_ALONE, in the order of its text: before it has given out the registers gcc would move so many loads ahead that
   sums have to leave theirs. */
#if defined(__GNUC__) && !defined(__clang__)
#define QIR_IN_ORDER QIR_ALONE __attribute__((optimize("no-schedule-insns", "no-tree-ter", "fp-contract=off")))
#else
#define QIR_IN_ORDER QIR_ALONE
#endif

/* Advances a pointer, in sight of no optimizer: loads of several steps would take registers of sums. What is loaded by
   one that is hidden is loaded again, each time. */
#if defined(__GNUC__)
#define QIR_ADVANCE(pointer, bytes) \
    (pointer) += bytes;             \
    __asm__("" : "+r"(pointer))
#define QIR_HIDE(pointer) __asm__ volatile("" : "+r"(pointer))
#else
#define QIR_ADVANCE(pointer, bytes) ((pointer) += bytes)
#define QIR_HIDE(pointer) ((void)0)
#endif

typedef struct {
    float32x4_t low;
    float32x4_t high;
    int16x8_t zero_point;
    uint8x16_t least; /* qmin */
    uint8x16_t most;  /* qmax */
} qir_requant4;

static QIR_INLINE qir_requant4 qir_widen_requant4(const qir_requant *q) {
    qir_requant4 wide;
    wide.low = vdupq_n_f32((float)q->low);
    wide.high = vdupq_n_f32((float)q->high);
    wide.zero_point = vdupq_n_s16((int16_t)q->zero_point);
    wide.least = vdupq_n_u8((uint8_t)(q->low + q->zero_point));
    wide.most = vdupq_n_u8((uint8_t)(q->high + q->zero_point));
    return wide;
}

static QIR_INLINE float32x4_t qir_neon_scaled(int32x4_t acc, float32x4_t scale) {
    return vmulq_f32(vcvtq_f32_s32(acc), scale);
}

/* Sums of codes less their zero points. */
static QIR_INLINE int32x4_t qir_neon_less(uint16x4_t sums, int32x4_t zero) {
    return vsubq_s32(vreinterpretq_s32_u32(vmovl_u16(sums)), zero);
}

#if defined(__aarch64__)
/* rint(v) + zero_point: conversions round halves to even. Everything saturates, so what lies beyond a bound stays
   beyond it, and codes are clamped last; qir_code's bounds are integers, so the order does not matter. Where the bounds
   are those of the type, there is nothing left to clamp ("whole"). */
static QIR_INLINE int16x8_t qir_neon_codes_s16(float32x4_t a, float32x4_t b, qir_requant4 q) {
    const int16x4_t low = vqmovn_s32(vcvtnq_s32_f32(a));
    return vqaddq_s16(vqmovn_high_s32(low, vcvtnq_s32_f32(b)), q.zero_point);
}

static QIR_INLINE uint8x8_t qir_neon_whole8(float32x4_t a, float32x4_t b, qir_requant4 q) {
    return vqmovun_s16(qir_neon_codes_s16(a, b, q));
}

static QIR_INLINE uint8x8_t qir_neon_codes8(float32x4_t a, float32x4_t b, qir_requant4 q) {
    return vmin_u8(vmax_u8(qir_neon_whole8(a, b, q), vget_low_u8(q.least)), vget_low_u8(q.most));
}

static QIR_INLINE uint8x16_t qir_neon_whole16(float32x4_t a, float32x4_t b, float32x4_t c, float32x4_t d,
                                              qir_requant4 q) {
    return vqmovun_high_s16(qir_neon_whole8(a, b, q), qir_neon_codes_s16(c, d, q));
}

static QIR_INLINE uint8x16_t qir_neon_codes16(float32x4_t a, float32x4_t b, float32x4_t c, float32x4_t d,
                                              qir_requant4 q) {
    return vminq_u8(vmaxq_u8(qir_neon_whole16(a, b, c, d, q), q.least), q.most);
}

/* Results of float arithmetic with NaN, which gives the low bound, taken out. */
static QIR_INLINE float32x4_t qir_neon_number(float32x4_t v, qir_requant4 q) {
    return vmaxnmq_f32(v, q.low);
}
#else
/* rint(v) modulo 2^16: clamped first, v is rounded by adding 1.5 * 2^23, as in qir_round, which leaves it in the low
   bits: those of 1.5 * 2^23 itself, 0x4b400000, are zero. */
static QIR_INLINE int16x4_t qir_neon_rounded(float32x4_t v, qir_requant4 q) {
    const float32x4_t clamped = vminq_f32(vmaxq_f32(v, q.low), q.high);
    return vmovn_s32(vreinterpretq_s32_f32(vaddq_f32(clamped, vdupq_n_f32(12582912.0f))));
}

static QIR_INLINE uint8x8_t qir_neon_codes8(float32x4_t a, float32x4_t b, qir_requant4 q) {
    const int16x8_t steps = vcombine_s16(qir_neon_rounded(a, q), qir_neon_rounded(b, q));
    return vmovn_u16(vreinterpretq_u16_s16(vaddq_s16(steps, q.zero_point)));
}

static QIR_INLINE uint8x16_t qir_neon_codes16(float32x4_t a, float32x4_t b, float32x4_t c, float32x4_t d,
                                              qir_requant4 q) {
    return vcombine_u8(qir_neon_codes8(a, b, q), qir_neon_codes8(c, d, q));
}

#define qir_neon_whole8 qir_neon_codes8
#define qir_neon_whole16 qir_neon_codes16

/* Reals with NaN, which gives the low bound, taken out: its bits are beyond those of infinity. gcc makes scalar code of
   comparing floats. */
static QIR_INLINE float32x4_t qir_neon_number(float32x4_t v, qir_requant4 q) {
    const int32x4_t magnitude = vandq_s32(vreinterpretq_s32_f32(v), vdupq_n_s32(0x7fffffff));
    return vbslq_f32(vcgtq_s32(magnitude, vdupq_n_s32(0x7f800000)), q.low, v);
}
#endif

/* Sixteen accumulators, with the scales of their channels, to codes by `codes16`. */
#define QIR_NEON_STORE16_U8(codes16)                                                          \
    vst1q_u8(y, codes16(qir_neon_scaled(acc[0], scale[0]), qir_neon_scaled(acc[1], scale[1]), \
                        qir_neon_scaled(acc[2], scale[2]), qir_neon_scaled(acc[3], scale[3]), q));

static QIR_INLINE void qir_neon_store16_u8(const int32x4_t acc[4], const float32x4_t scale[4], qir_requant4 q,
                                           uint8_t *y) {
    QIR_NEON_STORE16_U8(qir_neon_codes16)
}

static QIR_INLINE void qir_neon_store16_whole_u8(const int32x4_t acc[4], const float32x4_t scale[4], qir_requant4 q,
                                                 uint8_t *y) {
    QIR_NEON_STORE16_U8(qir_neon_whole16)
}

static QIR_INLINE void qir_neon_store16_f32(const int32x4_t acc[4], const float32x4_t scale[4], qir_requant4 q,
                                            float *y) {
    (void)q;
    vst1q_f32(y, qir_neon_scaled(acc[0], scale[0]));
    vst1q_f32(y + 4, qir_neon_scaled(acc[1], scale[1]));
    vst1q_f32(y + 8, qir_neon_scaled(acc[2], scale[2]));
    vst1q_f32(y + 12, qir_neon_scaled(acc[3], scale[3]));
}

/* Eight accumulators. */
static QIR_INLINE void qir_neon_store8_u8(int32x4_t a, int32x4_t b, float32x4_t scale, float32x4_t scale2,
                                          qir_requant4 q, uint8_t *y) {
    vst1_u8(y, qir_neon_codes8(qir_neon_scaled(a, scale), qir_neon_scaled(b, scale2), q));
}

static QIR_INLINE void qir_neon_store8_whole_u8(int32x4_t a, int32x4_t b, float32x4_t scale, float32x4_t scale2,
                                                qir_requant4 q, uint8_t *y) {
    vst1_u8(y, qir_neon_whole8(qir_neon_scaled(a, scale), qir_neon_scaled(b, scale2), q));
}

static QIR_INLINE void qir_neon_store8_f32(int32x4_t a, int32x4_t b, float32x4_t scale, float32x4_t scale2,
                                           qir_requant4 q, float *y) {
    (void)q;
    vst1q_f32(y, qir_neon_scaled(a, scale));
    vst1q_f32(y + 4, qir_neon_scaled(b, scale2));
}

/* Sixteen neighbours, or one repeated. */
static QIR_INLINE uint8x16_t qir_neon_neighbours16(const uint8_t *from, int32_t step) {
    return step ? vld1q_u8(from) : vdupq_n_u8(*from);
}

/* Sixteen reals, in units of the result's scale, as codes or as they are. */
static QIR_INLINE void qir_neon_reals16_u8(const float32x4_t v[4], qir_requant4 q, uint8_t *y) {
    vst1q_u8(y, qir_neon_codes16(v[0], v[1], v[2], v[3], q));
}

static QIR_INLINE void qir_neon_reals16_f32(const float32x4_t v[4], qir_requant4 q, float *y) {
    (void)q;
    vst1q_f32(y, v[0]);
    vst1q_f32(y + 4, v[1]);
    vst1q_f32(y + 8, v[2]);
    vst1q_f32(y + 12, v[3]);
}

/* sum += products of bytes: lane j of four adds products 2 j, 2 j + 1, 8 + 2 j and 9 + 2 j. A product of -128 and -128,
   2^14, fits 16 bits, two of them do not, any other two do: 128 * (128 + 127) < 2^15. So products are added by twos
   where no two weights that meet are both -128, else one at a time. */
#if defined(__aarch64__)
#define QIR_MULL_HIGH(a, b) vmull_high_s8(a, b)
#define QIR_MLAL_HIGH(sum, a, b) vmlal_high_s8(sum, a, b)
#else
#define QIR_MULL_HIGH(a, b) vmull_s8(vget_high_s8(a), vget_high_s8(b))
#define QIR_MLAL_HIGH(sum, a, b) vmlal_s8(sum, vget_high_s8(a), vget_high_s8(b))
#endif

static QIR_INLINE int32x4_t qir_neon_by_twos(int32x4_t sum, int8x16_t a, int8x16_t b) {
    return vpadalq_s16(sum, QIR_MLAL_HIGH(vmull_s8(vget_low_s8(a), vget_low_s8(b)), a, b));
}

static QIR_INLINE int32x4_t qir_neon_one_by_one(int32x4_t sum, int8x16_t a, int8x16_t b) {
    return vpadalq_s16(vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(b))), QIR_MULL_HIGH(a, b));
}

#endif
