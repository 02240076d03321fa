/* Depthwise convolution of three by three taps, of four channels at once, in pairs of 16 bits: those of two lines of
   pixels, (0, 1), (2, 3), ..., which are made once for every window that these are in. The three lines of a window are
   among four of two such pairs,

       (x0, x1) (x2, x3) with taps (w0, w1) (w2, 0) where its first line is even,
                         with taps (0, w0) (w1, w2) where it is odd,

   so that a sum is six times SMLAD. Of each column, the words of both pairs lie side by side: those of one line pair start
   16 bytes behind those of the pair before it, and take the place of the one before that, whose next column was there.

   Windows go along a row, or down a column of the input where there are more rows than columns: then the lines are
   columns. Every second window goes backwards through taps and pixels, which leaves nothing to be set back. */
#ifndef QIR_CONV_U8_DEPTHWISE_DSP_H
#define QIR_CONV_U8_DEPTHWISE_DSP_H

#include "../../../runtime/qir_dsp.h"
#include "../conv_u8.h"

/* Pairs of lines that follow each other and are alike. */
typedef struct {
    int32_t lines; /* of a pair that are inside the input */
    int32_t rows;  /* of windows that then have all of their pixels */
    int32_t count;
} qir_dsp_run;

/* What four channels' results are made of, for windows whose first line is even, or odd. */
typedef struct {
    uint32_t scale[8]; /* four multipliers, the last ones, or as many pairs of g and r + 1, see qir_dsp.h */
    int32_t bias[4];
    uint32_t taps[24]; /* of each column, those of both pairs of lines */
    int32_t bias_again[4];
} qir_dsp_taps;

/* Four channels of an input and a result; offsets are of 32 bits each. */
typedef struct {
    ptrdiff_t y_step;
    uint32_t zero_point; /* where codes go by pairs, twice the same */
    uint32_t least;
    uint32_t most;
    const uint8_t *x; /* 16: of the next pair */
    ptrdiff_t next;   /* from line to line */
    ptrdiff_t step;
    int32_t before; /* columns: outside the input, inside, outside */
    int32_t inside;
    int32_t behind;
    uint32_t outside; /* twice the code of zero */
    int32_t all;      /* 44 */
    uint32_t *place;
    uint8_t *y; /* 52: of the next row; one window before it where these are odd in number, which then start backwards */
    ptrdiff_t y_next;
    ptrdiff_t y_row; /* 60 */
    int32_t is_odd;
    const qir_dsp_taps *taps; /* 68: of the next row; then from these to those of the row after it */
    ptrdiff_t turn;
    const qir_dsp_run *run; /* 76 */
    const qir_dsp_run *end;
    int32_t count; /* 84: pairs left of the run, rows of windows left of the pair */
    int32_t rows;
} qir_dsp_plane;

/* A column of two lines, from r0 and lr. */
#define QIR_DSP_STORE_PAIRS                 \
    "pkhbt r3, r0, lr, lsl #16\n\t"         \
    "pkhtb r12, lr, r0, asr #16\n\t"        \
    "uxtb16 r2, r3\n\t"                     \
    "uxtb16 r3, r3, ror #8\n\t"             \
    "uxtb16 r11, r12\n\t"                   \
    "uxtb16 r12, r12, ror #8\n\t"           \
    "stm r1, {r2, r3, r11, r12}\n\t"        \
    "adds r1, r1, #32\n\t"
#define QIR_DSP_COLUMN_OF(first, second)    \
    "ldr r0, [" first ", r7]\n\t"           \
    "ldr lr, [" second ", r7]\n\t"          \
    QIR_DSP_STORE_PAIRS
#define QIR_DSP_COLUMN_OUTSIDE              \
    "strd r10, r10, [r1]\n\t"               \
    "strd r10, r10, [r1, #8]\n\t"           \
    "adds r1, r1, #32\n\t"

/* Columns of the plane's next pair of lines, two at a time; r3: how many of the lines are inside the input. */
#define QIR_DSP_COLUMNS                             \
    "add r1, r0, #16\n\t"                           \
    "ldm r1, {r4-r10, r12}\n\t"                     \
    "ldr r1, [r0, #48]\n\t"                         \
    "add r2, r1, #16\n\t"                           \
    "str r2, [r0, #48]\n\t"                         \
    "cmp r3, #1\n\t"                                \
    "blt 17f\n\t"                                   \
    "add r2, r4, r5, lsl #1\n\t"                    \
    "str r2, [r0, #16]\n\t"                         \
    "add r5, r5, r4\n\t"                            \
    "cbz r7, 12f\n"                                 \
    "11:\n\t"                                       \
    QIR_DSP_COLUMN_OUTSIDE                          \
    "subs r7, r7, #1\n\t"                           \
    "bne 11b\n"                                     \
    "12:\n\t" /* r7 is zero */                      \
    "cmp r3, #1\n\t"                                \
    "beq 15f\n\t"                                   \
    "add r9, r4, r6\n\t"                            \
    "add r10, r5, r6\n\t"                           \
    "lsrs r8, r8, #1\n\t"                           \
    "bcc 13f\n\t"                                   \
    "adds r8, r8, #1\n\t"                           \
    "subs r7, r7, r6\n\t" /* an odd number */       \
    "b 14f\n"                                       \
    "13:\n\t"                                       \
    QIR_DSP_COLUMN_OF("r4", "r5")                   \
    "\n14:\n\t"                                     \
    QIR_DSP_COLUMN_OF("r9", "r10")                  \
    "add r7, r7, r6, lsl #1\n\t"                    \
    "subs r8, r8, #1\n\t"                           \
    "bne 13b\n\t"                                   \
    "ldr r0, [sp, #24]\n\t"                         \
    "ldrd r12, r10, [r0, #36]\n\t"                  \
    "b 16f\n"                                       \
    "15:\n\t"                                       \
    "ldr r0, [r4, r7]\n\t"                          \
    "add r7, r7, r6\n\t"                            \
    "orr lr, r10, r10, lsl #8\n\t"                  \
    QIR_DSP_STORE_PAIRS                             \
    "subs r8, r8, #1\n\t"                           \
    "bne 15b\n\t"                                   \
    "ldr r0, [sp, #24]\n\t"                         \
    "mov r12, r9\n"                                 \
    "16:\n\t"                                       \
    "cmp r12, #0\n\t"                               \
    "beq 18f\n"                                     \
    "17:\n\t"                                       \
    QIR_DSP_COLUMN_OUTSIDE                          \
    "subs r12, r12, #1\n\t"                         \
    "bne 17b\n"                                     \
    "18:\n\t"

/* Taps of four channels: of windows whose first line is even to `even`, of others to `odd`, unless these are NULL. */
#define QIR_DSP_PAIR_TAPS(a, b, to)               \
    "pkhbt r9, " a ", " b ", lsl #16\n\t"         \
    "pkhtb r11, " b ", " a ", asr #16\n\t"        \
    "sxtb16 r8, r9\n\t"                           \
    "sxtb16 r9, r9, ror #8\n\t"                   \
    "sxtb16 r10, r11\n\t"                         \
    "sxtb16 r11, r11, ror #8\n\t"                 \
    "stm " to "!, {r8-r11}\n\t"
QIR_ASSEMBLY void qir_dsp_take_taps(QIR_UNUSED const int8_t *w, QIR_UNUSED int32_t channels, QIR_UNUSED uint32_t *even,
                                    QIR_UNUSED uint32_t *odd) {
    __asm__("push {r4-r11, lr}\n\t"
            "add r12, r1, r1, lsl #1\n\t"
            "movs r7, #3\n\t"
            "mov lr, #0\n"
            "1:\n\t"
            "ldr r4, [r0]\n\t"
            "ldr r5, [r0, r12]\n\t"
            "ldr r6, [r0, r12, lsl #1]\n\t"
            "add r0, r0, r1\n\t"
            "cbz r2, 2f\n\t"
            QIR_DSP_PAIR_TAPS("r4", "r5", "r2")
            QIR_DSP_PAIR_TAPS("r6", "lr", "r2")
            "\n2:\n\t"
            "cbz r3, 3f\n\t"
            QIR_DSP_PAIR_TAPS("lr", "r4", "r3")
            QIR_DSP_PAIR_TAPS("r5", "r6", "r3")
            "\n3:\n\t"
            "subs r7, r7, #1\n\t"
            "bne 1b\n\t"
            "pop {r4-r11, pc}\n\t");
}

/* Products of three columns of pixels and those of taps, added to r4-r7; `m` is ia, or db for backwards. */
#define QIR_DSP_PRODUCTS(m)                       \
    ".rept 6\n\t"                                 \
    "ldm" m " r0!, {r8-r11}\n\t"                  \
    "ldm" m " r1!, {r2, r3, r12, lr}\n\t"         \
    "smlad r4, r8, r2, r4\n\t"                    \
    "smlad r5, r9, r3, r5\n\t"                    \
    "smlad r6, r10, r12, r6\n\t"                  \
    "smlad r7, r11, lr, r7\n\t"                   \
    ".endr\n\t"

/* r4-r7 rounded: in float32, or by integers alone; g of the first channel is `place` before r1. */
#define QIR_DSP_REAL_SCALES_TAKEN "ldr r1, [r0, #68]\n\tadds r1, r1, #16\n\tvldmia r1, {s4-s7}\n\t"
#define QIR_DSP_REAL_FOUR(place, b, c, d)                                  \
    "vmov s0, s1, r4, r5\n\t"                                              \
    "vmov s2, s3, r6, r7\n\t"                                              \
    QIR_DSP_SCALED("s0", "s4") QIR_DSP_SCALED("s1", "s5")                  \
    QIR_DSP_SCALED("s2", "s6") QIR_DSP_SCALED("s3", "s7")                  \
    "vmov r4, r5, s0, s1\n\t"                                              \
    "vmov r6, r7, s2, s3\n\t"

#define QIR_DSP_FIXED_SCALES_TAKEN ""
#define QIR_DSP_FIXED_CODE(sum, place)                    \
    "ldrd r8, r9, [r1, #-" place "]\n\t"                  \
    "smmul " sum ", " sum ", r8\n\t"                      \
    "asrs " sum ", " sum ", r9\n\t"                       \
    "adc " sum ", " sum ", #0\n\t"
#define QIR_DSP_FIXED_FOUR(a, b, c, d) \
    QIR_DSP_FIXED_CODE("r4", a) QIR_DSP_FIXED_CODE("r5", b) QIR_DSP_FIXED_CODE("r6", c) QIR_DSP_FIXED_CODE("r7", d)

/* r4-r7 as codes in r4: by pairs where the binder knows that rounded sums fit 16 bits, else each; without a sum where the
   zero point is zero. QIR_DSP_PLANE says what is on the stack. */
#define QIR_DSP_PAIRS(zero_point, add)      \
    "pkhbt r4, r4, r6, lsl #16\n\t"         \
    "pkhbt r5, r5, r7, lsl #16\n\t"         \
    zero_point                              \
    add("r4") add("r5")                     \
    "usat16 r4, #8, r4\n\t"                 \
    "usat16 r5, #8, r5\n\t"                 \
    "orr r4, r4, r5, lsl #8\n\t"
#define QIR_DSP_ADD_PAIR(sum) "qadd16 " sum ", " sum ", r8\n\t"

#define QIR_DSP_EACH(zero_point, add)       \
    zero_point                              \
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
#define QIR_DSP_ZERO_POINT "ldr r8, [sp, #12]\n\t"

#define QIR_DSP_CLAMP_TAPS "ldrd r6, r7, [sp, #16]\n\t" QIR_DSP_CLAMP("r4", "r6", "r7")

/* void name(qir_dsp_plane *p): windows of all rows, `apart` bytes of columns from each other, two at a time: the first of
   which goes forwards. On the stack: y, y_step, the end of the row, zero_point, least, most, p. */
#define QIR_DSP_PLANE(name, apart, taken, rounded, codes, clamp)                                                      \
    QIR_ASSEMBLY void name(QIR_UNUSED qir_dsp_plane *p) {                                                             \
        __asm__("push {r0, r4-r11, lr}\n\t"                                                                           \
                "ldm r0, {r5, r7-r9}\n\t"                                                                             \
                taken                                                                                                 \
                "push {r4-r9}\n"                                                                                      \
                "1:\n\t"                                                                                              \
                "ldr r1, [r0, #76]\n\t"                                                                               \
                "ldrd r2, r3, [r0, #80]\n\t"                                                                          \
                "cmp r1, r2\n\t"                                                                                      \
                "beq 9f\n\t"                                                                                          \
                "ldm r1!, {r3-r5}\n\t"                                                                                \
                "str r1, [r0, #76]\n\t"                                                                               \
                "str r5, [r0, #84]\n"                                                                                 \
                "2:\n\t"                                                                                              \
                "ldr r1, [r0, #76]\n\t"                                                                               \
                "ldrd r3, r4, [r1, #-12]\n\t"                                                                         \
                "str r4, [r0, #88]\n\t"                                                                               \
                QIR_DSP_COLUMNS                                                                                       \
                "ldr r3, [r0, #88]\n\t"                                                                               \
                "subs r3, r3, #1\n\t"                                                                                 \
                "bmi 6f\n"                                                                                            \
                "3:\n\t"                                                                                              \
                "str r3, [r0, #88]\n\t"                                                                               \
                "add r1, r0, #48\n\t"                                                                                 \
                "ldm r1, {r1, r4-r9}\n\t" /* place, y, y_next, y_row, is_odd, taps, turn */                           \
                "adds r5, r4, r5\n\t"                                                                                 \
                "adds r6, r4, r6\n\t"                                                                                 \
                "str r5, [r0, #52]\n\t"                                                                               \
                "add r2, r8, r9\n\t"                                                                                  \
                "rsb r3, r9, #0\n\t"                                                                                  \
                "strd r2, r3, [r0, #68]\n\t"                                                                          \
                "sub r0, r1, #32\n\t"                                                                                 \
                "add r1, r8, #48\n\t"                                                                                 \
                "str r4, [sp]\n\t"                                                                                    \
                "str r6, [sp, #8]\n\t"                                                                                \
                "cbz r7, 4f\n\t"                                                                                      \
                "adds r0, r0, #96\n\t"                                                                                \
                "adds r1, r1, #96\n\t"                                                                                \
                "b 5f\n"                                                                                              \
                "4:\n\t"                                                                                              \
                "ldmdb r1, {r4-r7}\n\t"                                                                               \
                QIR_DSP_PRODUCTS("ia")                                                                                \
                "adds r0, r0, #" apart "\n\t"                                                                         \
                rounded("144", "136", "128", "120")                                                                   \
                codes                                                                                                 \
                clamp                                                                                                 \
                "ldr r8, [sp]\n\t"                                                                                    \
                "str r4, [r8]\n"                                                                                      \
                "5:\n\t"                                                                                              \
                "ldmia r1, {r4-r7}\n\t"                                                                               \
                QIR_DSP_PRODUCTS("db")                                                                                \
                "adds r0, r0, #" apart "\n\t"                                                                         \
                rounded("48", "40", "32", "24")                                                                       \
                codes                                                                                                 \
                clamp                                                                                                 \
                "ldm sp, {r8-r10}\n\t"                                                                                \
                "str r4, [r8, r9]\n\t"                                                                                \
                "add r8, r8, r9, lsl #1\n\t"                                                                          \
                "cmp r8, r10\n\t"                                                                                     \
                "str r8, [sp]\n\t"                                                                                    \
                "bne 4b\n\t"                                                                                          \
                "ldr r0, [sp, #24]\n\t"                                                                               \
                "ldr r3, [r0, #88]\n\t"                                                                               \
                "subs r3, r3, #1\n\t"                                                                                 \
                "bpl 3b\n"                                                                                            \
                "6:\n\t"                                                                                              \
                "ldr r3, [r0, #84]\n\t"                                                                               \
                "subs r3, r3, #1\n\t"                                                                                 \
                "str r3, [r0, #84]\n\t"                                                                               \
                "bne 2b\n\t"                                                                                          \
                "b 1b\n"                                                                                              \
                "9:\n\t"                                                                                              \
                "add sp, sp, #28\n\t"                                                                                 \
                "pop {r4-r11, pc}\n\t");                                                                              \
    }

#endif
