/* Depthwise convolution of three by three taps, of four channels at once: of the column of three pixels under a tap

       p0 .. p3  two of each channel, side by side: a pair of 16 bits
       t02, t13  the third ones of channels 0 and 2, and of 1 and 3

   are made once and serve every window that the column is in. A sum is three times SMLAD, of pairs, and three times SMLABB
   or SMLATT, of third ones. A column, of pixels or of taps, is the words t13 t02 p2 p3 p0 p1.

   The third one is the first line's. Where windows are on neighbouring lines, what is paired then serves those a line on,
   whose third one is the last line's: these have columns of taps of their own.

   Windows go along a row, or down a column of the input where there are more rows than columns: then columns of three
   pixels lie in a row. */
#ifndef QIR_CONV_U8_DEPTHWISE_DSP_H
#define QIR_CONV_U8_DEPTHWISE_DSP_H

#include "../../runtime/qir_dsp.h"
#include "conv_u8.h"

/* Pixels that follow each other along the windows. */
typedef struct {
    const uint8_t *from;
    ptrdiff_t step;
} qir_dsp_line;

/* Columns of three lines: of pixels; or of taps, which have signs. */
#define QIR_DSP_COLUMNS_OF(name, pair)                                                                             \
    QIR_ASSEMBLY void name(QIR_UNUSED const qir_dsp_line *lines, QIR_UNUSED int32_t count, QIR_UNUSED uint32_t *to) { \
        __asm__("push {r4-r11, lr}\n\t"                                                                            \
                "ldm r0, {r4-r9}\n\t"                                                                              \
                "mov r0, r1\n"                                                                                     \
                "1:\n\t"                                                                                           \
                "ldr r1, [r4]\n\t"                                                                                 \
                "ldr r3, [r6]\n\t"                                                                                 \
                "add r4, r4, r5\n\t"                                                                               \
                "add r6, r6, r7\n\t"                                                                               \
                QIR_DSP_PAIRS_OF(pair)                                                                             \
                "ldr r1, [r8]\n\t"                                                                                 \
                "add r8, r8, r9\n\t"                                                                               \
                pair " r3, r1\n\t"                                                                                 \
                pair " r1, r1, ror #8\n\t"                                                                         \
                "stm r2!, {r1, r3, r10, r11, r12, lr}\n\t"                                                         \
                "subs r0, r0, #1\n\t"                                                                              \
                "bne 1b\n\t"                                                                                       \
                "pop {r4-r11, pc}\n\t");                                                                           \
    }

#define QIR_DSP_PAIRS_OF(pair)              \
    pair " r10, r1\n\t"                     \
    pair " r11, r3\n\t"                     \
    pair " r1, r1, ror #8\n\t"              \
    pair " r3, r3, ror #8\n\t"              \
    "pkhbt r12, r10, r11, lsl #16\n\t"      \
    "pkhtb r10, r11, r10, asr #16\n\t"      \
    "pkhbt lr, r1, r3, lsl #16\n\t"         \
    "pkhtb r11, r3, r1, asr #16\n\t"

QIR_DSP_COLUMNS_OF(qir_dsp_columns, "uxtb16")
QIR_DSP_COLUMNS_OF(qir_dsp_columns_of_taps, "sxtb16")

/* As qir_dsp_columns, of a line, the one `next` behind it and the one as far before it, all inside the input. */
QIR_ASSEMBLY void qir_dsp_columns_inside(QIR_UNUSED const qir_dsp_line *line, QIR_UNUSED int32_t count,
                                         QIR_UNUSED uint32_t *to, QIR_UNUSED ptrdiff_t next) {
    __asm__("push {r4-r11, lr}\n\t"
            "ldrd r4, r5, [r0]\n\t"
            "movs r7, #0\n\t"
            "adds r6, r4, r3\n\t"
            "sub r8, r4, r3\n\t"
            "mov r0, r1\n"
            "1:\n\t"
            "ldr r1, [r4, r7]\n\t"
            "ldr r3, [r6, r7]\n\t"
            QIR_DSP_PAIRS_OF("uxtb16")
            "ldr r1, [r8, r7]\n\t"
            "add r7, r7, r5\n\t"
            "uxtb16 r3, r1\n\t"
            "uxtb16 r1, r1, ror #8\n\t"
            "stm r2!, {r1, r3, r10, r11, r12, lr}\n\t"
            "subs r0, r0, #1\n\t"
            "bne 1b\n\t"
            "pop {r4-r11, pc}\n\t");
}

/* The third ones of columns anew. */
QIR_ASSEMBLY void qir_dsp_columns_third(QIR_UNUSED const uint8_t *from, QIR_UNUSED ptrdiff_t step,
                                        QIR_UNUSED int32_t count, QIR_UNUSED uint32_t *to) {
    __asm__("push {r4, lr}\n"
            "1:\n\t"
            "ldr r12, [r0]\n\t"
            "add r0, r0, r1\n\t"
            "uxtb16 r4, r12\n\t"
            "uxtb16 r12, r12, ror #8\n\t"
            "strd r12, r4, [r3], #24\n\t"
            "subs r2, r2, #1\n\t"
            "bne 1b\n\t"
            "pop {r4, pc}\n\t");
}

/* What four channels' results are made of. */
typedef struct {
    uint32_t scale[8]; /* four multipliers, the last ones, or as many pairs of g and r + 1, see qir_dsp.h */
    int32_t bias[4];
    uint32_t zero_point; /* where codes go by pairs, twice the same */
    int32_t y_step;
    uint32_t taps[18];
    uint32_t least;
    uint32_t most;
} qir_dsp_taps;

/* Products of a column of pixels and one of taps, added to r4-r7. */
#define QIR_DSP_COLUMN                  \
    "ldm r0!, {r8-r10}\n\t"             \
    "ldm r1!, {r11, r12, lr}\n\t"       \
    "smlabb r5, r8, r11, r5\n\t"        \
    "smlatt r7, r8, r11, r7\n\t"        \
    "smlabb r4, r9, r12, r4\n\t"        \
    "smlatt r6, r9, r12, r6\n\t"        \
    "smlad r6, r10, lr, r6\n\t"         \
    "ldm r0!, {r8-r10}\n\t"             \
    "ldm r1!, {r11, r12, lr}\n\t"       \
    "smlad r7, r8, r11, r7\n\t"         \
    "smlad r4, r9, r12, r4\n\t"         \
    "smlad r5, r10, lr, r5\n\t"

/* From the end of a window to the start of the next one, one or two columns from this one's. */
#define QIR_DSP_BACK_1 "sub r0, r0, #48\n\t"
#define QIR_DSP_BACK_2 "sub r0, r0, #24\n\t"

#define QIR_DSP_CLAMP_TAPS "ldr r8, [sp]\n\tldrd r6, r7, [r8, #128]\n\t" QIR_DSP_CLAMP("r4", "r6", "r7")

/* What is taken of qir_dsp_taps before all windows, r1 becoming the place of the taps; sums' starts in r4-r7; sums rounded;
   the zero point and the step of y in r8 and r9. In float32, or by integers alone. */
#define QIR_DSP_REAL_TAPS "adds r1, r1, #16\n\tvldmia r1!, {s4-s13}\n\t"
#define QIR_DSP_REAL_STARTS "vmov r4, r5, s8, s9\n\tvmov r6, r7, s10, s11\n\t"
#define QIR_DSP_REAL_FOUR                                                  \
    "vmov s0, s1, r4, r5\n\t"                                              \
    "vmov s2, s3, r6, r7\n\t"                                              \
    QIR_DSP_SCALED("s0", "s4") QIR_DSP_SCALED("s1", "s5")                  \
    QIR_DSP_SCALED("s2", "s6") QIR_DSP_SCALED("s3", "s7")                  \
    "vmov r4, r5, s0, s1\n\t"                                              \
    "vmov r6, r7, s2, s3\n\t"                                              \
    "vmov r8, r9, s12, s13\n\t"

#define QIR_DSP_FIXED_TAPS "adds r1, r1, #56\n\t"
#define QIR_DSP_FIXED_STARTS "sub r8, r1, #24\n\tldm r8, {r4-r7}\n\t"
#define QIR_DSP_FIXED_CODE(sum, place)                    \
    "ldrd r8, r9, [r1, #-" place "]\n\t"                  \
    "smmul " sum ", " sum ", r8\n\t"                      \
    "asrs " sum ", " sum ", r9\n\t"                       \
    "adc " sum ", " sum ", #0\n\t"
#define QIR_DSP_FIXED_FOUR                                                 \
    QIR_DSP_FIXED_CODE("r4", "56") QIR_DSP_FIXED_CODE("r5", "48")          \
    QIR_DSP_FIXED_CODE("r6", "40") QIR_DSP_FIXED_CODE("r7", "32")          \
    "ldrd r8, r9, [r1, #-8]\n\t"

/* r4-r7 as codes in r4: by pairs where the binder knows that rounded sums fit 16 bits, else each; without a sum where the
   zero point is zero. */
#define QIR_DSP_PAIRS(add)                  \
    "pkhbt r4, r4, r6, lsl #16\n\t"         \
    "pkhbt r5, r5, r7, lsl #16\n\t"         \
    add("r4") add("r5")                     \
    "usat16 r4, #8, r4\n\t"                 \
    "usat16 r5, #8, r5\n\t"                 \
    "orr r4, r4, r5, lsl #8\n\t"
#define QIR_DSP_ADD_PAIR(sum) "qadd16 " sum ", " sum ", r8\n\t"

#define QIR_DSP_EACH(add)                   \
    add("r4") add("r5") add("r6") add("r7") \
    "usat r4, #8, r4\n\t"                   \
    "usat r5, #8, r5\n\t"                   \
    "usat r6, #8, r6\n\t"                   \
    "usat r7, #8, r7\n\t"                   \
    "orr r4, r4, r5, lsl #8\n\t"            \
    "orr r6, r6, r7, lsl #8\n\t"            \
    "orr r4, r4, r6, lsl #16\n\t"
#define QIR_DSP_ADD_EACH(sum) "qadd " sum ", " sum ", r8\n\t"
#define QIR_DSP_ADD_ZERO(sum)

/* void name(const uint32_t *x, const qir_dsp_taps *t, uint8_t *y, int32_t count): results of windows along a line. */
#define QIR_DSP_WINDOWS(name, back, taken, starts, rounded, codes, clamp)                                            \
    QIR_ASSEMBLY void name(QIR_UNUSED const uint32_t *x, QIR_UNUSED const qir_dsp_taps *t, QIR_UNUSED uint8_t *y,     \
                           QIR_UNUSED int32_t count) {                                                               \
        __asm__("push {r1, r4-r11, lr}\n\t"                                                                          \
                taken                                                                                                \
                "\n1:\n\t"                                                                                           \
                starts                                                                                               \
                QIR_DSP_COLUMN                                                                                       \
                QIR_DSP_COLUMN                                                                                       \
                QIR_DSP_COLUMN                                                                                       \
                "sub r1, r1, #72\n\t"                                                                                \
                back                                                                                                 \
                rounded                                                                                              \
                codes                                                                                                \
                clamp                                                                                                \
                "str r4, [r2]\n\t"                                                                                   \
                "add r2, r2, r9\n\t"                                                                                 \
                "subs r3, r3, #1\n\t"                                                                                \
                "bne 1b\n\t"                                                                                         \
                "pop {r1, r4-r11, pc}\n\t");                                                                         \
    }

#endif
