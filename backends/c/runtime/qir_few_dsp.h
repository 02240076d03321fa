/* Sums with weights of 1, 2 or 4 bits by the DSP instructions of Cortex-M, straight from where they are packed.

   A word holds codes of four channels for one or more pairs of activations, both halves alike, each code f = w + offset
   (with one bit f is 0 or 1, w = 2 f - 1) where one AND with a constant leaves it alone: times 2^s, s of its channel.
   Modulo 2^32

       2^s sum x w = sum x (2^s f) - 2^s offset sum x        (one bit: fields 2^(s + 1) f, offset 1)

   and the binder knows that the left side fits 32 bits. Starts of sums are 2^s times as large, and multipliers 2^-s of
   themselves, which is exact. `offset sum x` of two pixels is put behind their pairs once for all channels.

   bits  codes of a word        fields of a half, channels 0 to 3, of one step; to the next
   1     4 pairs, 4 channels    bits 1, 2, 3, 4                                rotated right by 4
   2     2 pairs, 4 channels    bits 0-1, 2-3, 4-5, 6-7                        shifted right by 8
   4     1 pair, 4 channels     bits 0-3, 4-7, and of the last two 8-15        shifted right by 8 for these
   */
#ifndef QIR_FEW_DSP_H
#define QIR_FEW_DSP_H

#include "qir_dsp.h"

/* Sums of two pixels, r2 and r3, with a field of r12. */
#define QIR_FEW_DSP_FIELD(mask, a, b)          \
    "and lr, r12, #" mask "\n\t"               \
    "smlad " a ", r2, lr, " a "\n\t"           \
    "smlad " b ", r3, lr, " b "\n\t"

#define QIR_FEW_DSP_PAIR "ldrd r2, r3, [r0], #8\n\t"
#define QIR_FEW_DSP_WORD "ldr r12, [r1], #4\n\t"

#define QIR_FEW_DSP_STEP_1                                                                          \
    QIR_FEW_DSP_PAIR                                                                                \
    QIR_FEW_DSP_FIELD("0x00020002", "r4", "r8") QIR_FEW_DSP_FIELD("0x00040004", "r5", "r9")         \
    QIR_FEW_DSP_FIELD("0x00080008", "r6", "r10") QIR_FEW_DSP_FIELD("0x00100010", "r7", "r11")
#define QIR_FEW_DSP_NEXT_1 "ror r12, r12, #4\n\t" QIR_FEW_DSP_STEP_1

#define QIR_FEW_DSP_STEP_2                                                                          \
    QIR_FEW_DSP_PAIR                                                                                \
    QIR_FEW_DSP_FIELD("0x00030003", "r4", "r8") QIR_FEW_DSP_FIELD("0x000c000c", "r5", "r9")         \
    QIR_FEW_DSP_FIELD("0x00300030", "r6", "r10") QIR_FEW_DSP_FIELD("0x00c000c0", "r7", "r11")

#define QIR_FEW_DSP_STEP_4                                                                          \
    QIR_FEW_DSP_WORD QIR_FEW_DSP_PAIR                                                               \
    QIR_FEW_DSP_FIELD("0x000f000f", "r4", "r8") QIR_FEW_DSP_FIELD("0x00f000f0", "r5", "r9")         \
    "lsr r12, r12, #8\n\t"                                                                          \
    QIR_FEW_DSP_FIELD("0x000f000f", "r6", "r10") QIR_FEW_DSP_FIELD("0x00f000f0", "r7", "r11")

/* So many codes of each window and channel: a step of the loop over them. */
#define QIR_FEW_DSP_1_8 QIR_FEW_DSP_WORD QIR_FEW_DSP_STEP_1 QIR_FEW_DSP_NEXT_1 QIR_FEW_DSP_NEXT_1 QIR_FEW_DSP_NEXT_1
#define QIR_FEW_DSP_2_4 QIR_FEW_DSP_WORD QIR_FEW_DSP_STEP_2 "lsr r12, r12, #8\n\t" QIR_FEW_DSP_STEP_2
#define QIR_FEW_DSP_4_4 QIR_FEW_DSP_STEP_4 QIR_FEW_DSP_STEP_4
#define QIR_FEW_DSP_1_16 QIR_FEW_DSP_1_8 QIR_FEW_DSP_1_8
#define QIR_FEW_DSP_2_16 QIR_FEW_DSP_2_4 QIR_FEW_DSP_2_4 QIR_FEW_DSP_2_4 QIR_FEW_DSP_2_4
#define QIR_FEW_DSP_4_16 QIR_FEW_DSP_4_4 QIR_FEW_DSP_4_4 QIR_FEW_DSP_4_4 QIR_FEW_DSP_4_4

/* What is taken off the sums of two pixels: behind their pairs, times 2^s of each channel. */
#define QIR_FEW_DSP_LESS(s1, s2, s3)                                                                \
    "ldrd r2, r12, [r0]\n\t"                                                                        \
    "sub r4, r4, r2\n\tsub r8, r8, r12\n\t"                                                         \
    "sub r5, r5, r2, lsl #" s1 "\n\tsub r9, r9, r12, lsl #" s1 "\n\t"                               \
    "sub r6, r6, r2, lsl #" s2 "\n\tsub r10, r10, r12, lsl #" s2 "\n\t"                             \
    "sub r7, r7, r2, lsl #" s3 "\n\tsub r11, r11, r12, lsl #" s3 "\n\t"
#define QIR_FEW_DSP_1_LESS QIR_FEW_DSP_LESS("1", "2", "3")
#define QIR_FEW_DSP_2_LESS QIR_FEW_DSP_LESS("2", "4", "6")
#define QIR_FEW_DSP_4_LESS QIR_FEW_DSP_LESS("4", "0", "4")

/* Puts `offset` times the sum of the pairs of each of two pixels, from x up to `end`, behind them. */
QIR_ASSEMBLY void qir_few_dsp_sums(QIR_UNUSED const uint32_t *x, QIR_UNUSED uint32_t *end, QIR_UNUSED uint32_t offset) {
    __asm__("push {r4-r8, lr}\n\t"
            "movs r3, #0\n\t"
            "mov r12, #0\n\t"
            "mov r8, #0x00010001\n"
            "1:\n\t"
            "ldm r0!, {r4-r7}\n\t"
            "smlad r3, r4, r8, r3\n\t"
            "smlad r12, r5, r8, r12\n\t"
            "smlad r3, r6, r8, r3\n\t"
            "smlad r12, r7, r8, r12\n\t"
            "cmp r0, r1\n\t"
            "bne 1b\n\t"
            "mul r3, r3, r2\n\t"
            "mul r12, r12, r2\n\t"
            "strd r3, r12, [r1]\n\t"
            "pop {r4-r8, pc}\n\t");
}

/* Adds four neighbouring codes to a sum. */
static QIR_INLINE uint32_t qir_few_dsp_add(const uint8_t *x, uint32_t sum) {
    __asm__("usada8 %0, %1, %2, %0" : "+r"(sum) : "r"(qir_dsp_word(x)), "r"(0));
    return sum;
}

/* The same for a row of codes from r0 up to r2, and one pair: r3 or lr. */
#define QIR_FEW_DSP_ALONE(mask, pair, a)       \
    "and r9, r8, #" mask "\n\t"                \
    "smlad " a ", " pair ", r9, " a "\n\t"

#define QIR_FEW_DSP_CODES                      \
    "ldr r12, [r0], #4\n\t"                    \
    "uxtb16 r3, r12\n\t"                       \
    "uxtb16 lr, r12, ror #8\n\t"

#define QIR_FEW_DSP_FOUR_1(pair)                                                                    \
    QIR_FEW_DSP_ALONE("0x00020002", pair, "r4") QIR_FEW_DSP_ALONE("0x00040004", pair, "r5")         \
    QIR_FEW_DSP_ALONE("0x00080008", pair, "r6") QIR_FEW_DSP_ALONE("0x00100010", pair, "r7")
#define QIR_FEW_DSP_FOUR_2(pair)                                                                    \
    QIR_FEW_DSP_ALONE("0x00030003", pair, "r4") QIR_FEW_DSP_ALONE("0x000c000c", pair, "r5")         \
    QIR_FEW_DSP_ALONE("0x00300030", pair, "r6") QIR_FEW_DSP_ALONE("0x00c000c0", pair, "r7")
#define QIR_FEW_DSP_FOUR_4(pair)                                                                    \
    "ldr r8, [r1], #4\n\t"                                                                          \
    QIR_FEW_DSP_ALONE("0x000f000f", pair, "r4") QIR_FEW_DSP_ALONE("0x00f000f0", pair, "r5")         \
    "lsr r8, r8, #8\n\t"                                                                            \
    QIR_FEW_DSP_ALONE("0x000f000f", pair, "r6") QIR_FEW_DSP_ALONE("0x00f000f0", pair, "r7")

#define QIR_FEW_DSP_1_ROW                                                                           \
    "ldr r8, [r1], #4\n\t"                                                                          \
    QIR_FEW_DSP_CODES QIR_FEW_DSP_FOUR_1("r3") "ror r8, r8, #4\n\t" QIR_FEW_DSP_FOUR_1("lr")        \
    "ror r8, r8, #4\n\t"                                                                            \
    QIR_FEW_DSP_CODES QIR_FEW_DSP_FOUR_1("r3") "ror r8, r8, #4\n\t" QIR_FEW_DSP_FOUR_1("lr")
#define QIR_FEW_DSP_2_ROW                                                                           \
    "ldr r8, [r1], #4\n\t"                                                                          \
    QIR_FEW_DSP_CODES QIR_FEW_DSP_FOUR_2("r3") "lsr r8, r8, #8\n\t" QIR_FEW_DSP_FOUR_2("lr")
#define QIR_FEW_DSP_4_ROW QIR_FEW_DSP_CODES QIR_FEW_DSP_FOUR_4("r3") QIR_FEW_DSP_FOUR_4("lr")

/* A function that gives the sums of one row with four channels, from x up to `end`; `starts` may be `to`. */
#define QIR_FEW_DSP_ONE(name, products)                                                                             \
    QIR_ASSEMBLY void name(QIR_UNUSED const uint8_t *x, QIR_UNUSED const uint32_t *w, QIR_UNUSED const uint8_t *end,   \
                           QIR_UNUSED const void *starts, QIR_UNUSED int32_t *to) {                                 \
        __asm__("push {r3-r9, lr}\n\t"                                                                              \
                "ldm r3, {r4-r7}\n"                                                                                 \
                "1:\n\t"                                                                                            \
                products                                                                                            \
                "cmp r0, r2\n\t"                                                                                    \
                "bne 1b\n\t"                                                                                        \
                "ldr r0, [sp, #32]\n\t"                                                                             \
                "stm r0, {r4-r7}\n\t"                                                                               \
                "pop {r3-r9, pc}\n\t");                                                                             \
    }

#endif
