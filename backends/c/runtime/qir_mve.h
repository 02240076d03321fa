/* What kernels for Helium, the vectors of Armv8.1-M, share: sums to results, as qir_store_u8 and qir_store_f32 make them.

   Products of bytes take signed ones: s = x ^ 128, as a signed byte, is x - 128, which the bias makes up for. Conversions
   round halves to even. All saturates, so what lies beyond a bound stays beyond it, and codes are clamped last. */
#ifndef QIR_MVE_H
#define QIR_MVE_H

#include "qir_fixed.h"
#include "qir_sum.h"
#include "qir_vector.h"

#if !defined(__ARM_FEATURE_MVE) || __ARM_FEATURE_MVE != 3 || defined(__ARM_BIG_ENDIAN)
#error "these kernels need Helium with floating point: build with -mcpu=cortex-m55 -mfloat-abi=hard"
#endif

#include <arm_mve.h>

/* Rows of `count` codes less 128, `step` codes apart, to rows that are `next` apart. */
QIR_ASSEMBLY void qir_mve_signed(QIR_UNUSED const uint8_t *from, QIR_UNUSED int32_t count, QIR_UNUSED int32_t rows,
                                 QIR_UNUSED ptrdiff_t step, QIR_UNUSED void *to, QIR_UNUSED ptrdiff_t next) {
    __asm__("push {r4-r7, lr}\n\t"
            "ldrd r6, r7, [sp, #20]\n\t"
            "movs r4, #128\n\t"
            "vdup.8 q1, r4\n"
            "2:\n\t"
            "mov r4, r0\n\t"
            "mov r5, r6\n\t"
            "dlstp.8 lr, r1\n"
            "1:\n\t"
            "vldrb.8 q0, [r4], #16\n\t"
            "veor q0, q0, q1\n\t"
            "vstrb.8 q0, [r5], #16\n\t"
            "letp lr, 1b\n\t"
            "adds r0, r0, r3\n\t"
            "adds r6, r6, r7\n\t"
            "subs r2, r2, #1\n\t"
            "bne 2b\n\t"
            "pop {r4-r7, pc}\n\t");
}

/* Sums to rounded ones, with what makes results of them, from the place `at` on: four multipliers, or by integers alone
   four g and four -(r + 1) of qir_scaled: of h, the upper half of the product with g, floor((h + 2^r) / 2^(r + 1)). */
#define QIR_MVE_REAL_WORDS 8
#define QIR_MVE_REAL(sums, free, at)                   \
    "vldrw.32 " free ", [" at "], #16\n\t"             \
    "vcvt.f32.s32 " sums ", " sums "\n\t"              \
    "vmul.f32 " sums ", " sums ", " free "\n\t"        \
    "vcvtn.s32.f32 " sums ", " sums "\n\t"

#define QIR_MVE_FIXED_WORDS 12
#define QIR_MVE_FIXED(sums, free, at)                  \
    "vldrw.32 " free ", [" at "], #16\n\t"             \
    "vmulh.s32 " sums ", " sums ", " free "\n\t"       \
    "vldrw.32 " free ", [" at "], #16\n\t"             \
    "vrshl.s32 " sums ", " sums ", " free "\n\t"

/* What pixels of a depthwise convolution are made of. */
typedef struct {
    int32_t taps;
    int32_t zero_point;
    int32_t least;
    int32_t most;
    ptrdiff_t x_step; /* from pixel to pixel */
    ptrdiff_t y_step;
} qir_mve_taps;

/* Codes and weights, of 16 bits, of eight channels from `at` on: even ones and odd ones apart. */
#define QIR_MVE_EIGHT(load, at, even, odd)             \
    load "[r6" at "]\n\t"                              \
    "vldrb.s16 q5, [r2], #8\n\t"                       \
    "vmullb.s16 q6, q4, q5\n\t"                        \
    "vmullt.s16 q4, q4, q5\n\t"                        \
    "vadd.i32 " even ", " even ", q6\n\t"              \
    "vadd.i32 " odd ", " odd ", q4\n\t"

/* Sums of eight channels to codes, from `at` on. */
#define QIR_MVE_EIGHT_CODES(store, at, even, odd, rounded)       \
    rounded(even, "q4", "r4")                                    \
    rounded(odd, "q4", "r4")                                     \
    "vqmovnb.s32 q4, " even "\n\t"                               \
    "vqmovnt.s32 q4, " odd "\n\t"                                \
    "vqadd.s16 q4, q4, r5\n\t"                                   \
    "vmax.s16 q4, q4, q6\n\t"                                    \
    "vmin.s16 q4, q4, q7\n\t"                                    \
    store "[r7" at "]\n\t"

/* Channels `from` on of `count` pixels, for which taps move on by x_step: sixteen; or eight, or as many as `lanes` says.
   w: [tap][channel]; results: of even and odd channels of each eight, [4] biases each and then what rounds them. */
#define QIR_MVE_DEPTHWISE(name, starts, products, codes)                                                             \
    QIR_ASSEMBLY void name(QIR_UNUSED const uint8_t *const *tap, QIR_UNUSED ptrdiff_t from, QIR_UNUSED const int8_t *w, \
                           QIR_UNUSED const qir_mve_taps *t, QIR_UNUSED const uint32_t *results,                     \
                           QIR_UNUSED int32_t lanes, QIR_UNUSED uint8_t *y, QIR_UNUSED int32_t count) {              \
        __asm__("push {r4-r12, lr}\n\t"                                                                              \
                "vpush {d8-d15}\n\t"                                                                                 \
                "add r4, sp, #104\n\t"                                                                               \
                "ldm r4, {r8-r11}\n\t"                                                                               \
                "vctp.16 r9\n\t"                                                                                     \
                "mov r7, r10\n\t"                                                                                    \
                "mov r9, r2\n\t"                                                                                     \
                "mov r12, r0\n"                                                                                      \
                "3:\n\t"                                                                                             \
                "mov r4, r8\n\t"                                                                                     \
                "ldr r5, [r3]\n\t"                                                                                   \
                starts                                                                                               \
                "dls lr, r5\n"                                                                                       \
                "2:\n\t"                                                                                             \
                "ldr r6, [r0], #4\n\t"                                                                               \
                "add r6, r6, r1\n\t"                                                                                 \
                products                                                                                             \
                "le lr, 2b\n\t"                                                                                      \
                "ldrd r5, r6, [r3, #8]\n\t"                                                                          \
                "vdup.16 q6, r5\n\t"                                                                                 \
                "vdup.16 q7, r6\n\t"                                                                                 \
                "ldr r5, [r3, #4]\n\t"                                                                               \
                codes                                                                                                \
                "ldrd r4, r5, [r3, #16]\n\t"                                                                         \
                "add r1, r1, r4\n\t"                                                                                 \
                "adds r7, r7, r5\n\t"                                                                                \
                "mov r0, r12\n\t"                                                                                    \
                "mov r2, r9\n\t"                                                                                     \
                "subs r11, r11, #1\n\t"                                                                              \
                "bne 3b\n\t"                                                                                         \
                "vpop {d8-d15}\n\t"                                                                                  \
                "pop {r4-r12, pc}\n\t");                                                                             \
    }

#define QIR_MVE_DEPTHWISE_16(name, rounded)                                                                          \
    QIR_MVE_DEPTHWISE(name,                                                                                          \
                      "vldrw.32 q0, [r4], #16\n\tvldrw.32 q1, [r4], #16\n\t"                                         \
                      "vldrw.32 q2, [r4], #16\n\tvldrw.32 q3, [r4], #16\n\t",                                        \
                      QIR_MVE_EIGHT("vldrb.u16 q4, ", "", "q0", "q1")                                                \
                      QIR_MVE_EIGHT("vldrb.u16 q4, ", ", #8", "q2", "q3"),                                           \
                      QIR_MVE_EIGHT_CODES("vstrb.16 q4, ", "", "q0", "q1", rounded)                                  \
                      QIR_MVE_EIGHT_CODES("vstrb.16 q4, ", ", #8", "q2", "q3", rounded))

#define QIR_MVE_DEPTHWISE_8(name, rounded)                                                                           \
    QIR_MVE_DEPTHWISE(name, "vldrw.32 q0, [r4], #16\n\tvldrw.32 q1, [r4], #16\n\t",                                  \
                      QIR_MVE_EIGHT("vpst\n\tvldrbt.u16 q4, ", "", "q0", "q1"),                                      \
                      QIR_MVE_EIGHT_CODES("vpst\n\tvstrbt.16 q4, ", "", "q0", "q1", rounded))

typedef struct {
    int32x4_t least;
    int32x4_t most;
    int32_t zero_point;
} qir_mve_requant;

static QIR_INLINE qir_mve_requant qir_mve_widen_requant(const qir_requant *q) {
    qir_mve_requant wide;
    wide.zero_point = q->zero_point;
    wide.least = vdupq_n_s32(q->low + q->zero_point);
    wide.most = vdupq_n_s32(q->high + q->zero_point);
    return wide;
}

static QIR_INLINE float32x4_t qir_mve_scaled(int32x4_t sums, const uint32_t *results) {
    float multiplier[4];
    (void)memcpy(multiplier, results + 4, sizeof multiplier);
    return vmulq_f32(vcvtq_f32_s32(sums), vldrwq_f32(multiplier));
}

static QIR_INLINE int32x4_t qir_mve_bounded(int32x4_t rounded, const qir_mve_requant *q) {
    return vminq_s32(vmaxq_s32(vqaddq_n_s32(rounded, q->zero_point), q->least), q->most);
}

/* Four sums to codes, by what makes results of them. */
static QIR_INLINE int32x4_t qir_mve_real(int32x4_t sums, const uint32_t *results, const qir_mve_requant *q) {
    return qir_mve_bounded(vcvtnq_s32_f32(qir_mve_scaled(sums, results)), q);
}

static QIR_INLINE int32x4_t qir_mve_fixed(int32x4_t sums, const uint32_t *results, const qir_mve_requant *q) {
    const int32x4_t upper = vmulhq_s32(sums, vreinterpretq_s32_u32(vldrwq_u32(results + 4)));
    return qir_mve_bounded(vrshlq_s32(upper, vreinterpretq_s32_u32(vldrwq_u32(results + 8))), q);
}

/* The first of four sums, as many as `lanes` says, to results. */
static QIR_INLINE void qir_mve_store4_u8(int32x4_t sums, const uint32_t *results, const qir_mve_requant *q,
                                         mve_pred16_t lanes, uint8_t *y) {
    vstrbq_p_s32((int8_t *)y, qir_mve_real(sums, results, q), lanes);
}

static QIR_INLINE void qir_mve_store4_fixed(int32x4_t sums, const uint32_t *results, const qir_mve_requant *q,
                                            mve_pred16_t lanes, uint8_t *y) {
    vstrbq_p_s32((int8_t *)y, qir_mve_fixed(sums, results, q), lanes);
}

static QIR_INLINE void qir_mve_store4_f32(int32x4_t sums, const uint32_t *results, const qir_mve_requant *q,
                                          mve_pred16_t lanes, float *y) {
    (void)q;
    vstrwq_p_f32(y, qir_mve_scaled(sums, results), lanes);
}

/* Codes and others to their sums: see qir_sum, and qir_fixed_sum. */
static QIR_INLINE int32x4_t qir_mve_real_sum(int32x4_t codes, int32x4_t others, const qir_mve_requant *q,
                                             const qir_sum *s) {
    float32x4_t a = vmulq_n_f32(vcvtq_f32_s32(codes), s->own_multiplier);
    float32x4_t b = vmulq_n_f32(vcvtq_f32_s32(others), s->other_multiplier);
    __asm__("" : "+w"(a), "+w"(b)); /* products stay products */
    a = s->own_first ? vaddq_f32(vaddq_n_f32(a, s->offset), b) : vaddq_f32(vaddq_n_f32(b, s->offset), a);
    return qir_mve_bounded(vcvtnq_s32_f32(a), q);
}

static QIR_INLINE int32x4_t qir_mve_fixed_sum(int32x4_t codes, int32x4_t others, const qir_mve_requant *q,
                                              const qir_fixed_sum *s) {
    const int32x4_t own = vmlaq_n_s32(vdupq_n_s32(s->offset), codes, s->own_multiplier);
    return qir_mve_bounded(vshlq_r_s32(vmlaq_n_s32(own, others, s->other_multiplier), -s->shift), q);
}

#endif
