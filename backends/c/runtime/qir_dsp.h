/* What kernels for the DSP instructions of Armv7E-M and Armv8-M share: pairs of 16 bits are multiplied and added at once.

   Four codes of a word become two pairs, of its even and of its odd bytes, by one instruction each (UXTB16, SXTB16).
   Activations and weights are taken apart alike, so that pairs match without being put together anew. Of weights, a word
   holds a pair of two channels each: bytes c d c d.
   Results become codes as qir_code makes them: VCVTR rounds as the processor does, halves to even, and saturates, as the
   sum with the zero point does: what lies beyond a bound stays beyond it, and codes are clamped last. */
#ifndef QIR_DSP_H
#define QIR_DSP_H

#include "qir_sum.h"
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

/* r4-r7 and r8-r11: sums of two pixels with four channels, which start with their biases at r3. Codes from r0 on: [four
   codes][even, odd][pixel] pairs; weights from r1 on: [four codes][even, odd][two channels] words. The end of the codes,
   which is not their start, is on the stack. */
#define QIR_DSP_SUMS                \
    "ldm r3, {r4-r7}\n\t"           \
    "mov r8, r4\n\t"                \
    "mov r9, r5\n\t"                \
    "mov r10, r6\n\t"               \
    "mov r11, r7\n"                 \
    "1:\n\t"                        \
    QIR_DSP_TWICE_FOUR              \
    QIR_DSP_TWICE_FOUR              \
    "ldr r12, [sp]\n\t"             \
    "cmp r0, r12\n\t"               \
    "bne 1b\n\t"

/* sums[pixel][channel], from x up to `end`. */
QIR_ASSEMBLY void qir_dsp_two_by_four(QIR_UNUSED const uint32_t *x, QIR_UNUSED const uint32_t *w,
                                      QIR_UNUSED const uint32_t *end, QIR_UNUSED const int32_t *bias,
                                      QIR_UNUSED int32_t *sums) {
    __asm__("push {r2, r4-r11, lr}\n\t"
            QIR_DSP_SUMS
            "ldr r0, [sp, #40]\n\t"
            "stm r0, {r4-r11}\n\t"
            "pop {r2, r4-r11, pc}\n\t");
}

/* Codes of two pixels, `next` apart. */
typedef struct {
    int32_t fours; /* of channels */
    const int32_t *bias;
    const float *multiplier;
    uint8_t *y;
    ptrdiff_t next;
    int32_t zero_point;
    uint32_t least;
    uint32_t most;
} qir_dsp_channels;

/* Four codes between least and most: SEL takes those whose difference is not negative. */
#define QIR_DSP_CLAMP(codes, least, most)              \
    "usub8 lr, " codes ", " least "\n\t"               \
    "sel " codes ", " codes ", " least "\n\t"          \
    "usub8 lr, " most ", " codes "\n\t"                \
    "sel " codes ", " codes ", " most "\n\t"

#define QIR_DSP_CLAMP_TWO "ldrd r2, r3, [sp, #28]\n\t" QIR_DSP_CLAMP("r4", "r2", "r3") QIR_DSP_CLAMP("r8", "r2", "r3")

#define QIR_DSP_CODE(sum)                     \
    "qadd " sum ", " sum ", r2\n\t"           \
    "usat " sum ", #8, " sum "\n\t"

#define QIR_DSP_SCALED(sum, multiplier)                   \
    "vcvt.f32.s32 " sum ", " sum "\n\t"                   \
    "vmul.f32 " sum ", " sum ", " multiplier "\n\t"       \
    "vcvtr.s32.f32 " sum ", " sum "\n\t"

#define QIR_DSP_EACH_OF_EIGHT                                              \
    QIR_DSP_SCALED("s0", "s8") QIR_DSP_SCALED("s1", "s9")                  \
    QIR_DSP_SCALED("s2", "s10") QIR_DSP_SCALED("s3", "s11")                \
    QIR_DSP_SCALED("s4", "s8") QIR_DSP_SCALED("s5", "s9")                  \
    QIR_DSP_SCALED("s6", "s10") QIR_DSP_SCALED("s7", "s11")

/* A function that goes through the channels as `c` has them. On its stack: the end of the codes, then all of `c`; behind
   these the codes' start. */
#define QIR_DSP_CODES(name, clamp)                                                                                   \
    QIR_ASSEMBLY void name(QIR_UNUSED const uint32_t *x, QIR_UNUSED const uint32_t *w, QIR_UNUSED const uint32_t *end, \
                           QIR_UNUSED const qir_dsp_channels *c) {                                                   \
        __asm__("push {r0, r4-r11, lr}\n\t"                                                                          \
                "ldm r3, {r4-r11}\n\t"                                                                               \
                "push {r2, r4-r11}\n"                                                                                \
                "2:\n\t"                                                                                             \
                "ldr r3, [sp, #8]\n\t"                                                                               \
                "ldr r0, [sp, #36]\n\t"                                                                              \
                "add r12, r3, #16\n\t"                                                                               \
                "str r12, [sp, #8]\n\t"                                                                              \
                QIR_DSP_SUMS                                                                                         \
                "vmov s0, s1, r4, r5\n\t"                                                                            \
                "vmov s2, s3, r6, r7\n\t"                                                                            \
                "vmov s4, s5, r8, r9\n\t"                                                                            \
                "vmov s6, s7, r10, r11\n\t"                                                                          \
                "ldr r2, [sp, #12]\n\t"                                                                              \
                "vldmia r2!, {s8-s11}\n\t"                                                                           \
                "str r2, [sp, #12]\n\t"                                                                              \
                QIR_DSP_EACH_OF_EIGHT                                                                                \
                "vmov r4, r5, s0, s1\n\t"                                                                            \
                "vmov r6, r7, s2, s3\n\t"                                                                            \
                "vmov r8, r9, s4, s5\n\t"                                                                            \
                "vmov r10, r11, s6, s7\n\t"                                                                          \
                "ldr r2, [sp, #24]\n\t"                                                                              \
                QIR_DSP_CODE("r4") QIR_DSP_CODE("r5") QIR_DSP_CODE("r6") QIR_DSP_CODE("r7")                          \
                QIR_DSP_CODE("r8") QIR_DSP_CODE("r9") QIR_DSP_CODE("r10") QIR_DSP_CODE("r11")                        \
                "orr r4, r4, r5, lsl #8\n\t"                                                                         \
                "orr r8, r8, r9, lsl #8\n\t"                                                                         \
                "orr r4, r4, r6, lsl #16\n\t"                                                                        \
                "orr r8, r8, r10, lsl #16\n\t"                                                                       \
                "orr r4, r4, r7, lsl #24\n\t"                                                                        \
                "orr r8, r8, r11, lsl #24\n\t"                                                                       \
                clamp                                                                                                \
                "ldrd r2, r3, [sp, #16]\n\t"                                                                         \
                "ldr r12, [sp, #4]\n\t"                                                                              \
                "str r8, [r2, r3]\n\t"                                                                               \
                "str r4, [r2], #4\n\t"                                                                               \
                "subs r12, r12, #1\n\t"                                                                              \
                "str r2, [sp, #16]\n\t"                                                                              \
                "str r12, [sp, #4]\n\t"                                                                              \
                "bne 2b\n\t"                                                                                         \
                "add sp, sp, #40\n\t"                                                                                \
                "pop {r4-r11, pc}\n\t");                                                                             \
    }

QIR_DSP_CODES(qir_dsp_codes_bytes, "")
QIR_DSP_CODES(qir_dsp_codes_clamped, QIR_DSP_CLAMP_TWO)

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

/* The lower halves of two words. */
static QIR_INLINE uint32_t qir_dsp_lower(uint32_t a, uint32_t b) {
    uint32_t pair;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(a), "r"(b));
    return pair;
}

/* rint(v) + zero_point, as far as bytes go. */
static QIR_INLINE uint32_t qir_dsp_rounded(float v, int32_t zero_point) {
    int32_t code;
    __asm__("vcvtr.s32.f32 %0, %0\n\tvmov %1, %0\n\tqadd %1, %1, %2\n\tusat %1, #8, %1"
            : "+&t"(v), "=&r"(code) : "r"(zero_point));
    return (uint32_t)code;
}

static QIR_INLINE uint32_t qir_dsp_code(int32_t sum, float multiplier, int32_t zero_point) {
    return qir_dsp_rounded((float)sum * multiplier, zero_point);
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
    wide.least = (uint32_t)(q->low + q->zero_point) * 0x01010101u;
    wide.most = (uint32_t)(q->high + q->zero_point) * 0x01010101u;
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

/* Codes of as many channels, of `all`, as go by fours; the number of these. */
#define QIR_DSP_FOURS(name, codes)                                                                                   \
    static QIR_INLINE int32_t name(const uint32_t *x, const uint32_t *w, const uint32_t *end, const int32_t *bias,   \
                                   const float *multiplier, const qir_dsp_requant *q, int32_t all, uint8_t *y,       \
                                   ptrdiff_t next) {                                                                 \
        const qir_dsp_channels c = {all / 4, bias, multiplier, y, next, q->zero_point, q->least, q->most};           \
        if (all >= 4) {                                                                                              \
            codes(x, w, end, &c);                                                                                    \
        }                                                                                                            \
        return all & ~3;                                                                                             \
    }

QIR_DSP_FOURS(qir_dsp_fours_bytes, qir_dsp_codes_bytes)
QIR_DSP_FOURS(qir_dsp_fours_clamped, qir_dsp_codes_clamped)

/* As qir_sum_codes. */
static QIR_INLINE void qir_dsp_sum_codes(const qir_sum *s, const qir_requant *q, const uint8_t *own,
                                         const uint8_t *other, int32_t width, uint8_t *y) {
    const int32_t least = q->low + q->zero_point, most = q->high + q->zero_point;
    int32_t i;
    for (i = 0; i < width; ++i) {
        float mine = (float)own[i] * s->own_multiplier, others = (float)other[i] * s->other_multiplier;
        int32_t code;
        __asm__("" : "+t"(mine), "+t"(others)); /* products stay products */
        code = (int32_t)qir_dsp_rounded(s->own_first ? (s->offset + mine) + others : (s->offset + others) + mine,
                                        q->zero_point);
        code = code < least ? least : code;
        y[i] = (uint8_t)(code > most ? most : code);
    }
}

#endif
