/* What kernels for Helium, the vectors of Armv8.1-M, share: sums to results, as qir_store_u8 and qir_store_f32 make them.

   Products of bytes take signed ones: s = x ^ 128, as a signed byte, is x - 128, which the bias makes up for. Conversions
   round halves to even. All saturates, so what lies beyond a bound stays beyond it, and codes are clamped last. */
#ifndef QIR_MVE_H
#define QIR_MVE_H

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

/* Products of `count` signed codes, at least one, with four rows of weights, `next` apart. */
QIR_ASSEMBLY int32x4_t qir_mve_four(QIR_UNUSED const void *x, QIR_UNUSED int32_t count, QIR_UNUSED const int8_t *w,
                                    QIR_UNUSED ptrdiff_t next) {
    __asm__("push {r4-r10, lr}\n\t"
            "adds r5, r2, r3\n\t"
            "adds r7, r5, r3\n\t"
            "add r9, r7, r3\n\t"
            "movs r4, #0\n\t"
            "movs r6, #0\n\t"
            "mov r8, #0\n\t"
            "mov r10, #0\n\t"
            "dlstp.8 lr, r1\n"
            "1:\n\t"
            "vldrb.8 q0, [r0], #16\n\t"
            "vldrb.8 q1, [r2], #16\n\t"
            "vmladava.s8 r4, q0, q1\n\t"
            "vldrb.8 q2, [r5], #16\n\t"
            "vmladava.s8 r6, q0, q2\n\t"
            "vldrb.8 q1, [r7], #16\n\t"
            "vmladava.s8 r8, q0, q1\n\t"
            "vldrb.8 q2, [r9], #16\n\t"
            "vmladava.s8 r10, q0, q2\n\t"
            "letp lr, 1b\n\t"
            "vmov q0[2], q0[0], r4, r8\n\t"
            "vmov q0[3], q0[1], r6, r10\n\t"
            "pop {r4-r10, pc}\n\t");
}

typedef struct {
    int32x4_t least;
    int32x4_t most;
    int32_t zero_point;
} qir_mve_requant;

static QIR_INLINE qir_mve_requant qir_mve_widen_requant(const qir_requant *q) {
    qir_mve_requant wide;
    wide.zero_point = q->zero_point;
    wide.least = vdupq_n_s32((int32_t)q->low + q->zero_point);
    wide.most = vdupq_n_s32((int32_t)q->high + q->zero_point);
    return wide;
}

/* The first of four sums, as many as `lanes` says, to results. */
static QIR_INLINE void qir_mve_store4_u8(int32x4_t sums, float32x4_t multiplier, const qir_mve_requant *q,
                                         mve_pred16_t lanes, uint8_t *y) {
    int32x4_t codes = vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums), multiplier));
    codes = vminq_s32(vmaxq_s32(vqaddq_n_s32(codes, q->zero_point), q->least), q->most);
    vstrbq_p_s32((int8_t *)y, codes, lanes);
}

static QIR_INLINE void qir_mve_store4_f32(int32x4_t sums, float32x4_t multiplier, const qir_mve_requant *q,
                                          mve_pred16_t lanes, float *y) {
    (void)q;
    vstrwq_p_f32(y, vmulq_f32(vcvtq_f32_s32(sums), multiplier), lanes);
}

#endif
