/* What kernels for the DSP instructions of Armv7E-M and Armv8-M share: pairs of 16 bits are multiplied and added at once.

   Four codes of a word become two pairs, of its even and of its odd bytes, by one instruction each (UXTB16, SXTB16).
   Activations and weights are taken apart alike, so that pairs match without being put together anew. Of weights, a word
   holds a pair of two channels each: bytes c d c d. Where the binder joins them, c + 256 d are the halves of the word, as
   they are, so that it need not be taken apart for d:

       sum x (c + 256 d) - sum x c = 256 sum x d

   modulo 2^32: the binder knows that |sum x d| < 2^23. Multipliers of these channels are 2^-8 of themselves.
   Otherwise c and d are the bytes of halves.

   Results become codes as qir_code makes them: VCVTR rounds as the processor does, halves to even, and saturates, as the
   sum with the zero point does: what lies beyond a bound stays beyond it, and codes are clamped last. Without
   floating-point instructions they become codes as qir_scaled makes them (qir_fixed.h): of h, the upper half of the
   product with g (SMMUL), ((h >> r) + 1) >> 1 = (h >> (r + 1)) + bit r of h, which a shift by r + 1 leaves in the carry. */
#ifndef QIR_DSP_H
#define QIR_DSP_H

#include "qir_fixed.h"
#include "qir_sum.h"
#include "qir_vector.h"

#if !defined(__ARM_FEATURE_DSP) || defined(__ARM_BIG_ENDIAN)
#error "these kernels need a Cortex-M with DSP instructions: build with -mcpu=cortex-m4 and the like"
#endif

/* What makes results of four channels: their sums' starts, then multipliers, or pairs of g and r + 1. */
#define QIR_DSP_REAL_WORDS 8
#define QIR_DSP_FIXED_WORDS 12

/* Sums of two pixels, r2 and r3, with a word of weights. */
#define QIR_DSP_JOINED_TWO(word, a0, a1, b0, b1)            \
    "smlad " a1 ", r2, " word ", " a1 "\n\t"                \
    "smlad " b1 ", r3, " word ", " b1 "\n\t"                \
    "sxtb16 " word ", " word "\n\t"                         \
    "smlad " a0 ", r2, " word ", " a0 "\n\t"                \
    "smlad " b0 ", r3, " word ", " b0 "\n\t"

#define QIR_DSP_APART_TWO(a0, a1, b0, b1)    \
    "ldr r12, [r1], #4\n\t"                  \
    "sxtb16 lr, r12\n\t"                     \
    "smlad " a0 ", r2, lr, " a0 "\n\t"       \
    "smlad " b0 ", r3, lr, " b0 "\n\t"       \
    "sxtb16 r12, r12, ror #8\n\t"            \
    "smlad " a1 ", r2, r12, " a1 "\n\t"      \
    "smlad " b1 ", r3, r12, " b1 "\n\t"

/* Two codes of both pixels with four channels; then more. */
#define QIR_DSP_JOINED                                          \
    "ldrd r2, r3, [r0], #8\n\t"                                 \
    "ldrd r12, lr, [r1], #8\n\t"                                \
    QIR_DSP_JOINED_TWO("r12", "r4", "r5", "r8", "r9")           \
    QIR_DSP_JOINED_TWO("lr", "r6", "r7", "r10", "r11")

#define QIR_DSP_APART                            \
    "ldrd r2, r3, [r0], #8\n\t"                  \
    QIR_DSP_APART_TWO("r4", "r5", "r8", "r9")    \
    QIR_DSP_APART_TWO("r6", "r7", "r10", "r11")

#define QIR_DSP_JOINED_4 QIR_DSP_JOINED QIR_DSP_JOINED
#define QIR_DSP_JOINED_16 QIR_DSP_JOINED_4 QIR_DSP_JOINED_4 QIR_DSP_JOINED_4 QIR_DSP_JOINED_4
#define QIR_DSP_APART_4 QIR_DSP_APART QIR_DSP_APART

/* What is left of joined channels' sums, and of those that were apart. */
#define QIR_DSP_JOINED_SUMS                                      \
    "sub r5, r5, r4\n\tsub r7, r7, r6\n\t"                       \
    "sub r9, r9, r8\n\tsub r11, r11, r10\n\t"
#define QIR_DSP_APART_SUMS ""

/* r4-r7 and r8-r11: sums of two pixels with four channels, from what their results, at r3, start with. Codes from r0 on:
   [four codes][even, odd][pixel] pairs; weights from r1 on: [four codes][even, odd][two channels] words. The end of the
   codes, which is not their start, is on the stack. */
#define QIR_DSP_SUMS(scales, products, sums)    \
    "ldm r3, {r8-r11}\n\t"              \
    "ldm r3!, {r4-r7}\n\t"              \
    scales                              \
    "\n1:\n\t"                          \
    products                            \
    "ldr r12, [sp]\n\t"                 \
    "cmp r0, r12\n\t"                   \
    "bne 1b\n\t"                        \
    sums

/* A function that gives sums[pixel][channel], from x up to `end`. */
#define QIR_DSP_TWO_BY_FOUR(name, products, sums)                                                                        \
    QIR_ASSEMBLY void name(QIR_UNUSED const uint32_t *x, QIR_UNUSED const uint32_t *w, QIR_UNUSED const uint32_t *end,     \
                           QIR_UNUSED const uint32_t *results, QIR_UNUSED int32_t *to) {                                 \
        __asm__("push {r2, r4-r11, lr}\n\t"                                                                              \
                QIR_DSP_SUMS("", products, sums)                                                                         \
                "ldr r0, [sp, #40]\n\t"                                                                                  \
                "stm r0, {r4-r11}\n\t"                                                                                   \
                "pop {r2, r4-r11, pc}\n\t");                                                                             \
    }

/* Codes of two pixels, `next` apart. */
typedef struct {
    const uint32_t *last; /* the end of the weights */
    const uint32_t *results;
    const uint32_t *x;
    uint8_t *y;
    ptrdiff_t next;
    uint32_t zero_points; /* twice the same */
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

/* r4-r11, rounded; what is at r3 for it is taken before the sums are made, where there are registers for that, and the
   place of the next four channels' kept. */
#define QIR_DSP_REAL_SCALES "vldmia r3!, {s8-s11}\n\tstr r3, [sp, #8]\n\t"
#define QIR_DSP_FIXED_SCALES ""

#define QIR_DSP_REAL_EIGHT                                                 \
    "vmov s0, s1, r4, r5\n\t"                                              \
    "vmov s2, s3, r6, r7\n\t"                                              \
    "vmov s4, s5, r8, r9\n\t"                                              \
    "vmov s6, s7, r10, r11\n\t"                                            \
    QIR_DSP_SCALED("s0", "s8") QIR_DSP_SCALED("s1", "s9")                  \
    QIR_DSP_SCALED("s2", "s10") QIR_DSP_SCALED("s3", "s11")                \
    QIR_DSP_SCALED("s4", "s8") QIR_DSP_SCALED("s5", "s9")                  \
    QIR_DSP_SCALED("s6", "s10") QIR_DSP_SCALED("s7", "s11")                \
    "vmov r4, r5, s0, s1\n\t"                                              \
    "vmov r6, r7, s2, s3\n\t"                                              \
    "vmov r8, r9, s4, s5\n\t"                                              \
    "vmov r10, r11, s6, s7\n\t"

#define QIR_DSP_FIXED_ONE(sum)                \
    "smmul " sum ", " sum ", r2\n\t"          \
    "asrs " sum ", " sum ", r12\n\t"          \
    "adc " sum ", " sum ", #0\n\t"

#define QIR_DSP_FIXED_TWO(a, b) "ldrd r2, r12, [r3], #8\n\t" QIR_DSP_FIXED_ONE(a) QIR_DSP_FIXED_ONE(b)

#define QIR_DSP_FIXED_EIGHT                                              \
    "ldr r3, [sp, #8]\n\t"                                               \
    "adds r3, r3, #16\n\t"                                               \
    QIR_DSP_FIXED_TWO("r4", "r8") QIR_DSP_FIXED_TWO("r5", "r9")          \
    QIR_DSP_FIXED_TWO("r6", "r10") QIR_DSP_FIXED_TWO("r7", "r11")        \
    "str r3, [sp, #8]\n\t"

/* Codes in r4 and r8; r2: zero points. By pairs where the binder knows that rounded sums fit 16 bits, else each. */
#define QIR_DSP_PAIRS_EIGHT                 \
    "pkhbt r4, r4, r6, lsl #16\n\t"         \
    "pkhbt r5, r5, r7, lsl #16\n\t"         \
    "pkhbt r8, r8, r10, lsl #16\n\t"        \
    "pkhbt r9, r9, r11, lsl #16\n\t"        \
    "qadd16 r4, r4, r2\n\t"                 \
    "qadd16 r5, r5, r2\n\t"                 \
    "qadd16 r8, r8, r2\n\t"                 \
    "qadd16 r9, r9, r2\n\t"                 \
    "usat16 r4, #8, r4\n\t"                 \
    "usat16 r5, #8, r5\n\t"                 \
    "usat16 r8, #8, r8\n\t"                 \
    "usat16 r9, #8, r9\n\t"                 \
    "orr r4, r4, r5, lsl #8\n\t"            \
    "orr r8, r8, r9, lsl #8\n\t"

#define QIR_DSP_EACH_EIGHT                                                                  \
    "sxth r2, r2\n\t"                                                                       \
    QIR_DSP_CODE("r4") QIR_DSP_CODE("r5") QIR_DSP_CODE("r6") QIR_DSP_CODE("r7")             \
    QIR_DSP_CODE("r8") QIR_DSP_CODE("r9") QIR_DSP_CODE("r10") QIR_DSP_CODE("r11")           \
    "orr r4, r4, r5, lsl #8\n\t"                                                            \
    "orr r8, r8, r9, lsl #8\n\t"                                                            \
    "orr r4, r4, r6, lsl #16\n\t"                                                           \
    "orr r8, r8, r10, lsl #16\n\t"                                                          \
    "orr r4, r4, r7, lsl #24\n\t"                                                           \
    "orr r8, r8, r11, lsl #24\n\t"

/* A function that goes through the channels as `c` has them. On its stack: the end of the codes, then all of `c`. */
#define QIR_DSP_CODES(name, products, sums, scales, rounded, codes, clamp)                                           \
    QIR_ASSEMBLY void name(QIR_UNUSED const qir_dsp_channels *c, QIR_UNUSED const uint32_t *w,                       \
                           QIR_UNUSED const uint32_t *end) {                                                         \
        __asm__("push {r4-r11, lr}\n\t"                                                                              \
                "ldm r0, {r4-r11}\n\t"                                                                               \
                "push {r2, r4-r11}\n"                                                                                \
                "2:\n\t"                                                                                             \
                "ldrd r3, r0, [sp, #8]\n\t"                                                                          \
                QIR_DSP_SUMS(scales, products, sums)                                                                 \
                rounded                                                                                              \
                "ldr r2, [sp, #24]\n\t"                                                                              \
                codes                                                                                                \
                clamp                                                                                                \
                "ldrd r2, r3, [sp, #16]\n\t"                                                                         \
                "ldr r12, [sp, #4]\n\t"                                                                              \
                "str r8, [r2, r3]\n\t"                                                                               \
                "str r4, [r2], #4\n\t"                                                                               \
                "cmp r1, r12\n\t"                                                                                    \
                "str r2, [sp, #16]\n\t"                                                                              \
                "bne 2b\n\t"                                                                                         \
                "add sp, sp, #36\n\t"                                                                                \
                "pop {r4-r11, pc}\n\t");                                                                             \
    }

/* Sums of one row of codes, `pair`, with a word of weights. */
#define QIR_DSP_JOINED_ONE(pair, word, a0, a1)            \
    "smlad " a1 ", " pair ", " word ", " a1 "\n\t"        \
    "sxtb16 " word ", " word "\n\t"                       \
    "smlad " a0 ", " pair ", " word ", " a0 "\n\t"

#define QIR_DSP_APART_ONE(pair, word, a0, a1)             \
    "sxtb16 lr, " word "\n\t"                             \
    "smlad " a0 ", " pair ", lr, " a0 "\n\t"              \
    "sxtb16 " word ", " word ", ror #8\n\t"               \
    "smlad " a1 ", " pair ", " word ", " a1 "\n\t"

/* A function as of QIR_DSP_TWO_BY_FOUR, of one row of codes up to `end`, a multiple of four. Sums of joined channels are
   left as they are; `starts` may be `to`. */
#define QIR_DSP_ONE_BY_FOUR(name, one)                                                                              \
    QIR_ASSEMBLY void name(QIR_UNUSED const uint8_t *x, QIR_UNUSED const uint32_t *w, QIR_UNUSED const uint8_t *end,   \
                           QIR_UNUSED const void *starts, QIR_UNUSED int32_t *to) {                                 \
        __asm__("push {r3, r4-r11, lr}\n\t"                                                                         \
                "ldm r3, {r4-r7}\n"                                                                                 \
                "1:\n\t"                                                                                            \
                "ldr r12, [r0], #4\n\t"                                                                             \
                "ldm r1!, {r8-r11}\n\t"                                                                             \
                "uxtb16 r3, r12\n\t"                                                                                \
                "uxtb16 r12, r12, ror #8\n\t"                                                                       \
                one("r3", "r8", "r4", "r5")                                                                         \
                one("r3", "r9", "r6", "r7")                                                                         \
                one("r12", "r10", "r4", "r5")                                                                       \
                one("r12", "r11", "r6", "r7")                                                                       \
                "cmp r0, r2\n\t"                                                                                    \
                "bne 1b\n\t"                                                                                        \
                "ldr r0, [sp, #40]\n\t"                                                                             \
                "stm r0, {r4-r7}\n\t"                                                                               \
                "pop {r3, r4-r11, pc}\n\t");                                                                        \
    }

QIR_DSP_ONE_BY_FOUR(qir_dsp_one_joined, QIR_DSP_JOINED_ONE)
QIR_DSP_ONE_BY_FOUR(qir_dsp_one_apart, QIR_DSP_APART_ONE)

/* `count` codes, a multiple of four, of two pixels as pairs: [four codes][even, odd][pixel]; the end of these. */
QIR_ASSEMBLY uint32_t *qir_dsp_widen(QIR_UNUSED const uint8_t *a, QIR_UNUSED const uint8_t *b, QIR_UNUSED int32_t count,
                                     QIR_UNUSED uint32_t *to) {
    __asm__("push {r4-r7, lr}\n\t"
            "cbz r2, 2f\n"
            "1:\n\t"
            "ldr r6, [r0], #4\n\t"
            "ldr r7, [r1], #4\n\t"
            "uxtb16 r4, r6\n\t"
            "uxtb16 r5, r7\n\t"
            "uxtb16 r6, r6, ror #8\n\t"
            "uxtb16 r7, r7, ror #8\n\t"
            "stm r3!, {r4-r7}\n\t"
            "subs r2, r2, #4\n\t"
            "bne 1b\n"
            "2:\n\t"
            "mov r0, r3\n\t"
            "pop {r4-r7, pc}\n\t");
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


/* Four sums, with what makes results of them, to results: codes, by integers alone. */
static QIR_INLINE void qir_dsp_store4_fixed(const int32_t *sums, const uint32_t *results, const qir_dsp_requant *q,
                                            uint8_t *y) {
    uint32_t codes = 0;
    int32_t i;
    for (i = 0; i < 4; ++i) {
        int32_t code;
        __asm__("smmul %0, %1, %2\n\tasrs %0, %0, %3\n\tadc %0, %0, #0\n\tqadd %0, %0, %4\n\tusat %0, #8, %0"
                : "=&r"(code)
                : "r"(sums[i]), "r"(results[4 + 2 * i]), "r"(results[5 + 2 * i]), "r"(q->zero_point)
                : "cc");
        codes |= (uint32_t)code << (8 * i);
    }
    codes = qir_dsp_clamped(codes, q);
    memcpy(y, &codes, sizeof codes);
}

#if defined(__ARM_FP)
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

/* In float32. */
static QIR_INLINE void qir_dsp_store4_u8(const int32_t *sums, const uint32_t *results, const qir_dsp_requant *q,
                                         uint8_t *y) {
    float multiplier[4];
    uint32_t codes;
    memcpy(multiplier, results + 4, sizeof multiplier);
    codes = qir_dsp_code(sums[0], multiplier[0], q->zero_point);
    codes |= qir_dsp_code(sums[1], multiplier[1], q->zero_point) << 8;
    codes |= qir_dsp_code(sums[2], multiplier[2], q->zero_point) << 16;
    codes |= qir_dsp_code(sums[3], multiplier[3], q->zero_point) << 24;
    codes = qir_dsp_clamped(codes, q);
    memcpy(y, &codes, sizeof codes);
}

static QIR_INLINE void qir_dsp_store4_f32(const int32_t *sums, const uint32_t *results, const qir_dsp_requant *q,
                                          float *y) {
    float multiplier[4];
    int32_t i;
    (void)q;
    memcpy(multiplier, results + 4, sizeof multiplier);
    for (i = 0; i < 4; ++i) {
        y[i] = (float)sums[i] * multiplier[i];
    }
}

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

#endif
