/* What kernels for the DSP instructions of Armv7E-M and Armv8-M share: pairs of 16 bits are multiplied and added at once.

   Four codes of a word become two pairs, of its even and of its odd bytes, by one instruction each (UXTB16, SXTB16).
   Activations and weights are taken apart alike, so that pairs match without being put together anew. Of weights, a word
   holds a pair of two channels each: bytes c d c d.
   Results become codes as qir_code makes them: VCVTR rounds as the processor does, halves to even, and saturates, as the
   sum with the zero point does: what lies beyond a bound stays beyond it, and codes are clamped last. */
#ifndef QIR_DSP_H
#define QIR_DSP_H

#include <arm_acle.h>

#include "qir_vector.h"

#if !defined(__ARM_FEATURE_DSP) || !defined(__ARM_FP) || defined(__ARM_BIG_ENDIAN)
#error "these kernels need a Cortex-M with DSP and floating-point instructions: build with -mcpu=cortex-m4 and the like"
#endif

/* Sums of two pixels with a word of weights, r12. */
#define QIR_DSP_TWICE_TWO(a0, a1, b0, b1)    \
    "ldr r12, [r1], #4\n\t"                  \
    "sxtb16 lr, r12\n\t"                     \
    "smlad " a0 ", r2, lr, " a0 "\n\t"       \
    "smlad " b0 ", r3, lr, " b0 "\n\t"       \
    "sxtb16 r12, r12, ror #8\n\t"            \
    "smlad " a1 ", r2, r12, " a1 "\n\t"      \
    "smlad " b1 ", r3, r12, " b1 "\n\t"

#define QIR_DSP_TWICE_FOUR                       \
    "ldrd r2, r3, [r0], #8\n\t"                  \
    QIR_DSP_TWICE_TWO("r4", "r5", "r8", "r9")    \
    QIR_DSP_TWICE_TWO("r6", "r7", "r10", "r11")

/* sums[pixel][channel] = bias[channel] + products, of two pixels with four channels. x up to `end`, which is not x:
   [four codes][even, odd][pixel] pairs; w: [four codes][even, odd][two channels] words. */
QIR_ASSEMBLY void qir_dsp_two_by_four(QIR_UNUSED const uint32_t *x, QIR_UNUSED const uint32_t *w,
                                          QIR_UNUSED const uint32_t *end, QIR_UNUSED const int32_t *bias,
                                          QIR_UNUSED int32_t *sums) {
    __asm__("push {r2, r4-r11, lr}\n\t"
            "ldm r3, {r4-r7}\n\t"
            "mov r8, r4\n\t"
            "mov r9, r5\n\t"
            "mov r10, r6\n\t"
            "mov r11, r7\n"
            "1:\n\t"
            QIR_DSP_TWICE_FOUR
            QIR_DSP_TWICE_FOUR
            "ldr r12, [sp]\n\t"
            "cmp r0, r12\n\t"
            "bne 1b\n\t"
            "ldr r0, [sp, #40]\n\t"
            "stm r0, {r4-r11}\n\t"
            "pop {r2, r4-r11, pc}\n\t");
}

/* Sums with a word of weights. */
#define QIR_DSP_TWO(pair, word, a0, a1)                   \
    "sxtb16 lr, " word "\n\t"                             \
    "smlad " a0 ", " pair ", lr, " a0 "\n\t"              \
    "sxtb16 " word ", " word ", ror #8\n\t"               \
    "smlad " a1 ", " pair ", " word ", " a1 "\n\t"

/* As qir_dsp_two_by_four, of one row of codes up to `end`, a multiple of four. */
QIR_ASSEMBLY void qir_dsp_one_by_four(QIR_UNUSED const uint8_t *x, QIR_UNUSED const uint32_t *w,
                                          QIR_UNUSED const uint8_t *end, QIR_UNUSED const int32_t *bias,
                                          QIR_UNUSED int32_t *sums) {
    __asm__("push {r3, r4-r11, lr}\n\t"
            "ldm r3, {r4-r7}\n"
            "1:\n\t"
            "ldr r12, [r0], #4\n\t"
            "ldm r1!, {r8-r11}\n\t"
            "uxtb16 r3, r12\n\t"
            "uxtb16 r12, r12, ror #8\n\t"
            QIR_DSP_TWO("r3", "r8", "r4", "r5")
            QIR_DSP_TWO("r3", "r9", "r6", "r7")
            QIR_DSP_TWO("r12", "r10", "r4", "r5")
            QIR_DSP_TWO("r12", "r11", "r6", "r7")
            "cmp r0, r2\n\t"
            "bne 1b\n\t"
            "ldr r0, [sp, #40]\n\t"
            "stm r0, {r4-r7}\n\t"
            "pop {r3, r4-r11, pc}\n\t");
}

/* Four neighbouring bytes at any address. */
static QIR_INLINE uint32_t qir_dsp_word(const void *from) {
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

/* Pairs of a word's even bytes, and of its odd ones. */
static QIR_INLINE uint32_t qir_dsp_even(uint32_t word) {
    uint32_t pair;
    __asm__("uxtb16 %0, %1" : "=r"(pair) : "r"(word));
    return pair;
}

static QIR_INLINE uint32_t qir_dsp_odd(uint32_t word) {
    uint32_t pair;
    __asm__("uxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
    return pair;
}

static QIR_INLINE uint32_t qir_dsp_code(int32_t sum, float multiplier, int32_t zero_point) {
    float v = (float)sum * multiplier;
    int32_t code;
    __asm__("vcvtr.s32.f32 %0, %0\n\tvmov %1, %0" : "+t"(v), "=r"(code));
    return (uint32_t)__usat(__qadd(code, zero_point), 8);
}

/* Bounds of codes, of four at a time. */
typedef struct {
    int32_t zero_point;
    uint32_t least;
    uint32_t most;
} qir_dsp_requant;

static QIR_INLINE qir_dsp_requant qir_dsp_widen_requant(const qir_requant *q) {
    qir_dsp_requant wide;
    wide.zero_point = q->zero_point;
    wide.least = (uint32_t)((int32_t)q->low + q->zero_point) * 0x01010101u;
    wide.most = (uint32_t)((int32_t)q->high + q->zero_point) * 0x01010101u;
    return wide;
}

/* Four codes: max(codes, least), then min(codes, most), byte by byte: SEL takes those whose difference is not negative. */
static QIR_INLINE uint32_t qir_dsp_clamped(uint32_t codes, const qir_dsp_requant *q) {
    uint32_t less;
    __asm__("usub8 %1, %0, %2\n\tsel %0, %0, %2\n\tusub8 %1, %3, %0\n\tsel %0, %0, %3"
            : "+&r"(codes), "=&r"(less) : "r"(q->least), "r"(q->most));
    return codes;
}

/* Four codes where the bounds are 0 and 255. */
static QIR_INLINE uint32_t qir_dsp_bytes(uint32_t codes, const qir_dsp_requant *q) {
    (void)q;
    return codes;
}

/* Four sums to results, by a name of the bounds' type: clamped or bytes. */
#define QIR_DSP_FOUR_CODES(name, clamp)                                                                                \
    static QIR_INLINE void name(const int32_t *sums, const float *multiplier, const qir_dsp_requant *q, uint8_t *y) {  \
        uint32_t codes = qir_dsp_code(sums[0], multiplier[0], q->zero_point);                                          \
        codes |= qir_dsp_code(sums[1], multiplier[1], q->zero_point) << 8;                                             \
        codes |= qir_dsp_code(sums[2], multiplier[2], q->zero_point) << 16;                                            \
        codes |= qir_dsp_code(sums[3], multiplier[3], q->zero_point) << 24;                                            \
        codes = clamp(codes, q);                                                                                       \
        memcpy(y, &codes, sizeof codes);                                                                               \
    }

QIR_DSP_FOUR_CODES(qir_dsp_store4_bytes, qir_dsp_bytes)
QIR_DSP_FOUR_CODES(qir_dsp_store4_clamped, qir_dsp_clamped)

static QIR_INLINE void qir_dsp_store4_f32(const int32_t *sums, const float *multiplier, const qir_dsp_requant *q,
                                          float *y) {
    int32_t i;
    (void)q;
    for (i = 0; i < 4; ++i) {
        y[i] = (float)sums[i] * multiplier[i];
    }
}

#endif
