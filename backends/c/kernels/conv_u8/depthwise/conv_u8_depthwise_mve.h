/* Depthwise convolution of up to four by four taps along lines, a channel after the other.

   Of a channel, pixels less 128 lie in columns of four bytes: row r of the input at byte r mod 4, so that a row is put
   there once, whatever windows it is in. Sixteen bytes from a column on hold the window that starts with it; its weights
   are put where their rows are, with zeros elsewhere, and one VMLADAV makes its sum. Sums of four windows become codes
   together: they share bias and multiplier.

   Windows go along a row, or down a column of the input where there are more rows than columns: then `row` is a column. */
#ifndef QIR_CONV_U8_DEPTHWISE_MVE_H
#define QIR_CONV_U8_DEPTHWISE_MVE_H

#include "../../../runtime/qir_mve.h"
#include "../conv_u8.h"

/* Results of some channels along a line. */
typedef struct {
    const int8_t *w;
    const uint32_t *results; /* of each channel: bias and multiplier, or bias, g and -(r + 1) of qir_scaled */
    const uint8_t *columns;
    uint8_t *y;
    int32_t pitch; /* from the columns of a channel to those of the next one */
    int32_t taps;
    int32_t fours; /* of windows */
    int32_t rest;
    const uint32_t *last; /* the end of the results */
    int32_t zero_point;
    int32_t y_step; /* from four windows to the next */
    int32_t least;
    int32_t most;
    const uint8_t *places; /* of sixteen bytes: which tap is at each, and 255 or, where there is none, 0 */
} qir_mve_line;

/* Pixels of a row, `step` apart, to columns, of eight or four channels, which are `pitch` apart there: lanes 16 or 32. */
#define QIR_MVE_COLUMNS(name, lanes)                                                                             \
    QIR_ASSEMBLY void name(QIR_UNUSED const uint8_t *from, QIR_UNUSED ptrdiff_t step, QIR_UNUSED int32_t count,  \
                           QIR_UNUSED uint8_t *to, QIR_UNUSED int32_t pitch) {                                   \
        __asm__("push {r4, lr}\n\t"                                                                              \
                "ldr r4, [sp, #8]\n\t"                                                                           \
                "mov r12, #0\n\t"                                                                                \
                "vidup.u" lanes " q1, r12, #1\n\t"                                                               \
                "vmul.i" lanes " q1, q1, r4\n\t"                                                                 \
                "mov r12, #128\n\t"                                                                              \
                "dls lr, r2\n"                                                                                   \
                "1:\n\t"                                                                                         \
                "vldrb.u" lanes " q0, [r0]\n\t"                                                                  \
                "add r0, r0, r1\n\t"                                                                             \
                "vadd.i" lanes " q0, q0, r12\n\t"                                                                \
                "vstrb." lanes " q0, [r3, q1]\n\t"                                                               \
                "adds r3, r3, #4\n\t"                                                                            \
                "le lr, 1b\n\t"                                                                                  \
                "pop {r4, pc}\n\t");                                                                             \
    }

/* Sums in q0, which start at zero, with r7 and r9 as of the channel. */
#define QIR_MVE_LINE_REAL_WORDS 2
#define QIR_MVE_LINE_REAL_TAKEN "ldrd r7, r9, [r11], #8\n\t"
#define QIR_MVE_LINE_REAL               \
    "vcvt.f32.s32 q0, q0\n\t"           \
    "vmul.f32 q0, q0, r9\n\t"           \
    "vcvtn.s32.f32 q0, q0\n\t"

#define QIR_MVE_LINE_FIXED_WORDS 3
#define QIR_MVE_LINE_FIXED_TAKEN "ldrd r7, r9, [r11], #8\n\tvdup.32 q7, r9\n\tldr r9, [r11], #4\n\t"
#define QIR_MVE_LINE_FIXED              \
    "vmulh.s32 q0, q0, q7\n\t"          \
    "vrshl.s32 q0, r9\n\t"

/* Codes of four windows in q0. Between them are `next` bytes. */
#define QIR_MVE_FOUR_WINDOWS(next, rounded)     \
    "vldrb.8 q0, [r1, #" next "]\n\t"           \
    "vmladav.s8 r6, q0, q1\n\t"                 \
    "vldrb.8 q0, [r1, #2*" next "]\n\t"         \
    "vmladav.s8 r8, q0, q1\n\t"                 \
    "vldrb.8 q0, [r1, #3*" next "]\n\t"         \
    "vmladav.s8 r10, q0, q1\n\t"                \
    "vldrb.8 q0, [r1], #4*" next "\n\t"         \
    "vmladav.s8 r4, q0, q1\n\t"                 \
    "vmov q0[2], q0[0], r4, r8\n\t"             \
    "vmov q0[3], q0[1], r6, r10\n\t"            \
    "vadd.i32 q0, q0, r7\n\t"                   \
    rounded                                     \
    "vqadd.s32 q0, q0, r12\n\t"                 \
    "vmax.s32 q0, q0, q2\n\t"                   \
    "vmin.s32 q0, q0, q3\n\t"

/* q4: where results of four windows go; q5, q6: places. `line` is left as it ends. */
#define QIR_MVE_LINE(name, next, taken, rounded)                \
    QIR_ASSEMBLY void name(QIR_UNUSED qir_mve_line *line) {     \
        __asm__("push {r4-r11, lr}\n\t"                         \
                "vpush {d8-d15}\n\t"                            \
                "ldrd r4, r6, [r0, #44]\n\t"                    \
                "vdup.32 q2, r4\n\t"                            \
                "vdup.32 q3, r6\n\t"                            \
                "ldr r4, [r0, #52]\n\t"                         \
                "vldrw.32 q5, [r4]\n\t"                         \
                "vldrw.32 q6, [r4, #16]\n\t"                    \
                "ldrd r12, r2, [r0, #36]\n\t"                   \
                "lsrs r4, r2, #2\n\t"                           \
                "movs r6, #0\n\t"                               \
                "vidup.u32 q4, r6, #1\n\t"                      \
                "vmul.i32 q4, q4, r4\n\t"                       \
                "ldrd r5, r11, [r0]\n"                          \
                "3:\n\t"                                        \
                "vldrb.u8 q1, [r5, q5]\n\t"                     \
                "vand q1, q1, q6\n\t"                           \
                "ldrd r1, r3, [r0, #8]\n\t"                     \
                "ldrd r4, r6, [r0, #16]\n\t"                    \
                "adds r4, r4, r1\n\t"                           \
                "adds r5, r5, r6\n\t"                           \
                "adds r6, r3, #1\n\t"                           \
                "strd r4, r6, [r0, #8]\n\t"                     \
                taken                                           \
                "ldr r4, [r0, #24]\n\t"                         \
                "wls lr, r4, 2f\n"                              \
                "1:\n\t"                                        \
                QIR_MVE_FOUR_WINDOWS(next, rounded)             \
                "vstrb.32 q0, [r3, q4]\n\t"                     \
                "add r3, r3, r2\n\t"                            \
                "le lr, 1b\n"                                   \
                "2:\n\t"                                        \
                "ldr r6, [r0, #28]\n\t"                         \
                "cmp r6, #0\n\t"                                \
                "beq 4f\n\t"                                    \
                "vctp.32 r6\n\t"                                \
                QIR_MVE_FOUR_WINDOWS(next, rounded)             \
                "vpst\n\t"                                      \
                "vstrbt.32 q0, [r3, q4]\n"                      \
                "4:\n\t"                                        \
                "ldr r4, [r0, #32]\n\t"                         \
                "cmp r11, r4\n\t"                               \
                "bne 3b\n\t"                                    \
                "vpop {d8-d15}\n\t"                             \
                "pop {r4-r11, pc}\n\t");                        \
    }

#endif
