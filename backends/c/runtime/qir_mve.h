/* What kernels for Helium, the vectors of Armv8.1-M, share: sums to results, as qir_store_u8 and qir_store_f32 make them.

   Products of bytes take signed ones: s = x ^ 128, as a signed byte, is x - 128, which the bias makes up for. Conversions
   round halves to even. All saturates, so what lies beyond a bound stays beyond it, and codes are clamped last. */
#ifndef QIR_MVE_H
#define QIR_MVE_H

#include "qir_sum.h"
#include "qir_vector.h"

#if !defined(__ARM_FEATURE_MVE) || __ARM_FEATURE_MVE != 3 || defined(__ARM_BIG_ENDIAN)
#error "these kernels need Helium with floating point: build with -mcpu=cortex-m55 -mfloat-abi=hard"
#endif

#include <arm_mve.h>

/* `count` codes less 128. */
QIR_ASSEMBLY void qir_mve_signed(QIR_UNUSED const uint8_t *from, QIR_UNUSED int32_t count, QIR_UNUSED void *to) {
    __asm__("push {r7, lr}\n\t"
            "movs r3, #128\n\t"
            "vdup.8 q1, r3\n\t"
            "wlstp.8 lr, r1, 2f\n"
            "1:\n\t"
            "vldrb.8 q0, [r0], #16\n\t"
            "veor q0, q0, q1\n\t"
            "vstrb.8 q0, [r2], #16\n\t"
            "letp lr, 1b\n"
            "2:\n\t"
            "pop {r7, pc}\n\t");
}

/* Sums of `count` signed codes from r0 on, at least one, times four rows of weights: r4, r6, r8, r10. Rows start at r2, r5,
   r7 and r9. */
#define QIR_MVE_FOUR                      \
    "movs r4, #0\n\t"                     \
    "movs r6, #0\n\t"                     \
    "mov r8, #0\n\t"                      \
    "mov r10, #0\n\t"                     \
    "dlstp.8 lr, r1\n"                    \
    "1:\n\t"                              \
    "vldrb.8 q0, [r0], #16\n\t"           \
    "vldrb.8 q1, [r2], #16\n\t"           \
    "vmladava.s8 r4, q0, q1\n\t"          \
    "vldrb.8 q2, [r5], #16\n\t"           \
    "vmladava.s8 r6, q0, q2\n\t"          \
    "vldrb.8 q1, [r7], #16\n\t"           \
    "vmladava.s8 r8, q0, q1\n\t"          \
    "vldrb.8 q2, [r9], #16\n\t"           \
    "vmladava.s8 r10, q0, q2\n\t"         \
    "letp lr, 1b\n\t"                     \
    "vmov q0[2], q0[0], r4, r8\n\t"       \
    "vmov q0[3], q0[1], r6, r10\n\t"

/* These sums, with rows of weights `next` apart. */
QIR_ASSEMBLY int32x4_t qir_mve_four(QIR_UNUSED const void *x, QIR_UNUSED int32_t count, QIR_UNUSED const int8_t *w,
                                    QIR_UNUSED ptrdiff_t next) {
    __asm__("push {r4-r10, lr}\n\t"
            "adds r5, r2, r3\n\t"
            "adds r7, r5, r3\n\t"
            "add r9, r7, r3\n\t"
            QIR_MVE_FOUR
            "pop {r4-r10, pc}\n\t");
}

/* Codes of a pixel: as many times four channels as `fours` says, at least once, with rows of weights one after the other. */
typedef struct {
    int32_t zero_point;
    int32_t least;
    int32_t most;
    const int32_t *bias;
    const float *multiplier;
} qir_mve_channels;

QIR_ASSEMBLY void qir_mve_codes(QIR_UNUSED const void *x, QIR_UNUSED int32_t count, QIR_UNUSED const int8_t *w,
                                QIR_UNUSED uint8_t *y, QIR_UNUSED int32_t fours,
                                QIR_UNUSED const qir_mve_channels *channels) {
    __asm__("push {r0, r1, r4-r11, lr}\n\t"
            "vpush {d8-d9}\n\t"
            "ldrd r11, r12, [sp, #60]\n\t"
            "ldm r12, {r4-r8}\n\t"
            "vdup.32 q3, r5\n\t"
            "vdup.32 q4, r6\n\t"
            "mov r12, r7\n\t"
            "str r4, [sp, #60]\n\t"
            "str r8, [sp, #64]\n"
            "2:\n\t"
            "ldr r0, [sp, #16]\n\t"
            "adds r5, r2, r1\n\t"
            "adds r7, r5, r1\n\t"
            "add r9, r7, r1\n\t"
            "add r4, r9, r1\n\t"
            "str r4, [sp, #20]\n\t"
            QIR_MVE_FOUR
            "ldr r2, [sp, #20]\n\t"
            "vldrw.32 q1, [r12], #16\n\t"
            "ldrd r4, r5, [sp, #60]\n\t"
            "vadd.i32 q0, q0, q1\n\t"
            "vldrw.32 q2, [r5], #16\n\t"
            "vcvt.f32.s32 q0, q0\n\t"
            "str r5, [sp, #64]\n\t"
            "vmul.f32 q0, q0, q2\n\t"
            "vcvtn.s32.f32 q0, q0\n\t"
            "vqadd.s32 q0, q0, r4\n\t"
            "vmax.s32 q0, q0, q3\n\t"
            "vmin.s32 q0, q0, q4\n\t"
            "vstrb.32 q0, [r3], #4\n\t"
            "subs r11, r11, #1\n\t"
            "bne 2b\n\t"
            "vpop {d8-d9}\n\t"
            "pop {r0, r1, r4-r11, pc}\n\t");
}

/* Codes of as many channels, of `all`, as go by fours; the number of these. */
static QIR_INLINE int32_t qir_mve_fours(const void *x, int32_t count, const int8_t *w, const qir_requant *q,
                                        const int32_t *bias, const float *multiplier, int32_t all, uint8_t *y) {
    const qir_mve_channels channels = {q->zero_point, q->low + q->zero_point, q->high + q->zero_point, bias, multiplier};
    if (all >= 4) {
        qir_mve_codes(x, count, w, y, all / 4, &channels);
    }
    return all & ~3;
}

/* What a pixel of a depthwise convolution is made of. */
typedef struct {
    int32_t taps;
    int32_t run;
    int32_t zero_point;
    int32_t least;
    int32_t most;
} qir_mve_taps;

#define QIR_MVE_SCALED(sums)                  \
    "vldrw.32 q6, [r4], #16\n\t"              \
    "vcvt.f32.s32 " sums ", " sums "\n\t"     \
    "vmul.f32 " sums ", " sums ", q6\n\t"     \
    "vcvtn.s32.f32 " sums ", " sums "\n\t"    \
    "vqadd.s32 " sums ", " sums ", r5\n\t"

/* Sixteen channels of a pixel, or as many as `lanes` says, `from` the first on. Products of a run of taps, of codes less
   128, are added up in 16 bits: the binder checks that 128 * sum |w| < 2^15 over each run. Even channels and odd ones go
   apart, and again where their sums are widened; narrowing puts them side by side. w: [tap][16]; bias and multiplier:
   [4][4] channels 0 4 8 12, 2 6 10 14, 1 5 9 13, 3 7 11 15, of whose sums the last four wait on the stack. */
QIR_ASSEMBLY void qir_mve_depthwise(QIR_UNUSED const uint8_t *const *tap, QIR_UNUSED ptrdiff_t from,
                                    QIR_UNUSED const int8_t *w, QIR_UNUSED const qir_mve_taps *t,
                                    QIR_UNUSED const int32_t *bias, QIR_UNUSED const float *multiplier,
                                    QIR_UNUSED int32_t lanes, QIR_UNUSED uint8_t *y) {
    __asm__("push {r4-r7, lr}\n\t"
            "vpush {d8-d15}\n\t"
            "sub sp, sp, #16\n\t"
            "ldr r4, [sp, #100]\n\t"
            "vldrw.32 q0, [r4]\n\t"
            "vldrw.32 q1, [r4, #16]\n\t"
            "vldrw.32 q2, [r4, #32]\n\t"
            "vldrw.32 q3, [r4, #48]\n\t"
            "vstrw.32 q3, [sp]\n\t"
            "ldr r6, [sp, #108]\n\t"
            "vmsr p0, r6\n\t"
            "ldrd r4, r5, [r3]\n\t"
            "movs r7, #128\n"
            "1:\n\t"
            "cmp r5, r4\n\t"
            "it gt\n\t"
            "movgt r5, r4\n\t"
            "vmov.i32 q4, #0\n\t"
            "vmov.i32 q5, #0\n\t"
            "dls lr, r5\n"
            "2:\n\t"
            "ldr r6, [r0], #4\n\t"
            "add r6, r6, r1\n\t"
            "vpst\n\t"
            "vldrbt.8 q6, [r6]\n\t"
            "vldrb.8 q7, [r2], #16\n\t"
            "vadd.i8 q6, q6, r7\n\t"
            "vmullb.s8 q3, q6, q7\n\t"
            "vadd.i16 q4, q4, q3\n\t"
            "vmullt.s8 q3, q6, q7\n\t"
            "vadd.i16 q5, q5, q3\n\t"
            "le lr, 2b\n\t"
            "vldrw.32 q3, [sp]\n\t"
            "vmovlb.s16 q6, q4\n\t"
            "vmovlt.s16 q4, q4\n\t"
            "vadd.i32 q0, q0, q6\n\t"
            "vmovlb.s16 q6, q5\n\t"
            "vadd.i32 q1, q1, q4\n\t"
            "vmovlt.s16 q5, q5\n\t"
            "vadd.i32 q2, q2, q6\n\t"
            "vadd.i32 q3, q3, q5\n\t"
            "vstrw.32 q3, [sp]\n\t"
            "subs r4, r4, r5\n\t"
            "bne 1b\n\t"
            "ldr r4, [sp, #104]\n\t"
            "ldr r5, [r3, #8]\n\t"
            QIR_MVE_SCALED("q0")
            QIR_MVE_SCALED("q1")
            QIR_MVE_SCALED("q2")
            QIR_MVE_SCALED("q3")
            "vqmovnb.s32 q4, q0\n\t"
            "vqmovnt.s32 q4, q1\n\t"
            "vqmovnb.s32 q5, q2\n\t"
            "vqmovnt.s32 q5, q3\n\t"
            "vqmovunb.s16 q6, q4\n\t"
            "vqmovunt.s16 q6, q5\n\t"
            "ldrd r4, r5, [r3, #12]\n\t"
            "vdup.8 q0, r4\n\t"
            "vdup.8 q1, r5\n\t"
            "vmax.u8 q6, q6, q0\n\t"
            "vmin.u8 q6, q6, q1\n\t"
            "ldr r4, [sp, #112]\n\t"
            "vpst\n\t"
            "vstrbt.8 q6, [r4]\n\t"
            "add sp, sp, #16\n\t"
            "vpop {d8-d15}\n\t"
            "pop {r4-r7, pc}\n\t");
}

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

static QIR_INLINE float32x4_t qir_mve_scaled(int32x4_t sums, float32x4_t multiplier) {
    return vmulq_f32(vcvtq_f32_s32(sums), multiplier);
}

static QIR_INLINE int32x4_t qir_mve_rounded(float32x4_t v, const qir_mve_requant *q) {
    return vminq_s32(vmaxq_s32(vqaddq_n_s32(vcvtnq_s32_f32(v), q->zero_point), q->least), q->most);
}

/* The first of four sums, as many as `lanes` says, to results. */
static QIR_INLINE void qir_mve_store4_u8(int32x4_t sums, float32x4_t multiplier, const qir_mve_requant *q,
                                         mve_pred16_t lanes, uint8_t *y) {
    vstrbq_p_s32((int8_t *)y, qir_mve_rounded(qir_mve_scaled(sums, multiplier), q), lanes);
}

static QIR_INLINE void qir_mve_store4_f32(int32x4_t sums, float32x4_t multiplier, const qir_mve_requant *q,
                                          mve_pred16_t lanes, float *y) {
    (void)q;
    vstrwq_p_f32(y, qir_mve_scaled(sums, multiplier), lanes);
}

/* As qir_mve_store4_u8, with codes that are added to others: see qir_sum. */
static QIR_INLINE void qir_mve_store4_sum(int32x4_t sums, float32x4_t multiplier, const qir_mve_requant *own,
                                          const qir_mve_requant *q, const qir_sum *s, const uint8_t *other,
                                          mve_pred16_t lanes, uint8_t *y) {
    const int32x4_t codes = qir_mve_rounded(qir_mve_scaled(sums, multiplier), own);
    const int32x4_t others = vreinterpretq_s32_u32(vldrbq_z_u32(other, lanes));
    float32x4_t a = vmulq_n_f32(vcvtq_f32_s32(codes), s->own_multiplier);
    float32x4_t b = vmulq_n_f32(vcvtq_f32_s32(others), s->other_multiplier);
    __asm__("" : "+w"(a), "+w"(b)); /* products stay products */
    a = s->own_first ? vaddq_f32(vaddq_n_f32(a, s->offset), b) : vaddq_f32(vaddq_n_f32(b, s->offset), a);
    vstrbq_p_s32((int8_t *)y, qir_mve_rounded(a, q), lanes);
}

#endif
