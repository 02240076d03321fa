/* Ones of joined rows by the DSP instructions of Cortex-M.

   Three words are counted together: sums of two bits in each, then of four, at most 4 for each word, 12 in all. Those in the
   lower and those in the upper halves of bytes are added up by USADA8, which sums four bytes, the latter 16 times as large,
   and apart. */
#ifndef QIR_CONV_BITS_DSP_H
#define QIR_CONV_BITS_DSP_H

#include "../../runtime/qir_vector.h"
#include "conv_bits_pixel.h"

#if !defined(__ARM_FEATURE_DSP) || defined(__ARM_BIG_ENDIAN)
#error "these kernels need a Cortex-M with DSP instructions: build with -mcpu=cortex-m4 and the like"
#endif

typedef struct {
    const uint32_t *end; /* of the row of x */
    ptrdiff_t gap;       /* bytes between rows of weights */
    int32_t factor;
    const int32_t *last; /* the end of the sums */
} qir_bits_dsp_rows;

/* Of a word, with a free register: sums of two bits; then of four, which are added to the first ones. */
#define QIR_BITS_DSP_TWOS(word, free) "and " free ", r10, " word ", lsr #1\n\tsub " word ", " word ", " free "\n\t"
#define QIR_BITS_DSP_FOURS(word)                   \
    "and r7, r11, " word ", lsr #2\n\t"            \
    "and " word ", " word ", r11\n\t"              \
    "add r4, r4, r7\n\t"                           \
    "add r4, r4, " word "\n\t"

/* A function that adds `factor` times the number of ones of x joined to each row of weights to the sums; rows have a
   multiple of three words. */
#define QIR_BITS_DSP_COUNT(name, join)                                                                               \
    QIR_ASSEMBLY void name(QIR_UNUSED const uint32_t *x, QIR_UNUSED const uint32_t *w, QIR_UNUSED int32_t *sums,     \
                           QIR_UNUSED const qir_bits_dsp_rows *rows) {                                               \
        __asm__("push {r0, r2-r11, lr}\n\t"                                                                          \
                "mov r10, #0x55555555\n\t"                                                                           \
                "mov r11, #0x33333333\n\t"                                                                           \
                "mov lr, #0\n\t"                                                                                     \
                "ldr r3, [r3]\n"                                                                                     \
                "2:\n\t"                                                                                             \
                "mov r12, #0\n\t"                                                                                    \
                "movs r2, #0\n"                                                                                      \
                "1:\n\t"                                                                                             \
                "ldm r0!, {r4-r6}\n\t"                                                                               \
                "ldm r1!, {r7-r9}\n\t"                                                                               \
                join " r4, r4, r7\n\t"                                                                               \
                join " r5, r5, r8\n\t"                                                                               \
                join " r6, r6, r9\n\t"                                                                               \
                QIR_BITS_DSP_TWOS("r4", "r7") QIR_BITS_DSP_TWOS("r5", "r8") QIR_BITS_DSP_TWOS("r6", "r9")            \
                "and r7, r11, r4, lsr #2\n\t"                                                                        \
                "and r4, r4, r11\n\t"                                                                                \
                "add r4, r4, r7\n\t"                                                                                 \
                QIR_BITS_DSP_FOURS("r5") QIR_BITS_DSP_FOURS("r6")                                                    \
                "and r7, r4, #0x0f0f0f0f\n\t"                                                                        \
                "eor r4, r4, r7\n\t"                                                                                 \
                "usada8 r12, r7, lr, r12\n\t"                                                                        \
                "usada8 r2, r4, lr, r2\n\t"                                                                          \
                "cmp r0, r3\n\t"                                                                                     \
                "bne 1b\n\t"                                                                                         \
                "add r12, r12, r2, lsr #4\n\t"                                                                       \
                "ldr r4, [sp, #8]\n\t"                                                                               \
                "ldrd r0, r2, [sp]\n\t"                                                                              \
                "ldrd r6, r7, [r4, #4]\n\t"                                                                          \
                "ldr r5, [r2]\n\t"                                                                                   \
                "ldr r8, [r4, #12]\n\t"                                                                              \
                "mla r5, r12, r7, r5\n\t"                                                                            \
                "add r1, r1, r6\n\t"                                                                                 \
                "str r5, [r2], #4\n\t"                                                                               \
                "str r2, [sp, #4]\n\t"                                                                               \
                "cmp r2, r8\n\t"                                                                                     \
                "bne 2b\n\t"                                                                                         \
                "pop {r0, r2-r11, pc}\n\t");                                                                         \
    }

QIR_BITS_DSP_COUNT(qir_bits_dsp_unlike, "eor")
QIR_BITS_DSP_COUNT(qir_bits_dsp_both, "and")

#endif
