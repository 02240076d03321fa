/* Codes of windows times rows of weights of 1 to 8 bits on Helium: sums, and codes, of four channels at once. */
#ifndef QIR_CONV_U8_MVE_ROWS_H
#define QIR_CONV_U8_MVE_ROWS_H

#include "../../runtime/qir_mve.h"

#define QIR_MVE_SIGNED ""
#define QIR_MVE_UNSIGNED "veor q0, q0, q5\n\t"

/* `count` signed codes from r0 on, r1, at least one, times weights of four channels, added to r4, r6, r8, r10, which become
   q0. Where codes are not signed yet, `taken` makes them so. */
#define QIR_MVE_FOUR(taken, products)     \
    "dlstp.8 lr, r1\n"                    \
    "1:\n\t"                              \
    "vldrb.8 q0, [r0], #16\n\t"           \
    taken                                 \
    products                              \
    "letp lr, 1b\n\t"                     \
    QIR_MVE_FOUR_SUMS
#define QIR_MVE_FOUR_SUMS                 \
    "vmov q0[2], q0[0], r4, r8\n\t"       \
    "vmov q0[3], q0[1], r6, r10\n\t"

/* Of q1, the field `shift` below the upper end of each byte, times codes. */
#define QIR_MVE_FIELD(shift, codes, sum)                      \
    "vshl.i8 q2, q1, #" shift "\n\t"                          \
    "vand q2, q2, q6\n\t"                                     \
    "vmladava.s8 " sum ", " codes ", q2\n\t"
#define QIR_MVE_LOWEST(shift, codes, sum)                     \
    "vshl.i8 q2, q1, #" shift "\n\t"                          \
    "vmladava.s8 " sum ", " codes ", q2\n\t"
#define QIR_MVE_UPPERMOST(codes, sum)                         \
    "vand q1, q1, q6\n\t"                                     \
    "vmladava.s8 " sum ", " codes ", q1\n\t"

/* How weights lie, as four arguments: what keeps the upper bits of bytes; rows from r2 on, of `count` bytes each; sums with
   them; the last row's place. A row of bytes is one channel's; of fields of 4 or 2 bits, that of two or four channels, the
   first one's lowest. Moved to the upper end of their bytes, fields are 2^(8 - bits) times as large and signed: so are
   sums, then, and multipliers that much smaller.

   Of one bit, f = (1 - w) / 2, a byte holds four channels' for a code and for the one 16 behind it. At the upper end f is
   -128 f, and

       64 sum x w = 64 sum x + sum x (-128 f)

   is as large as with 2 bits. Codes go by 32: x is filled up with zeros. */
#define QIR_MVE_WEIGHTS_8                                                    \
    "", "adds r5, r2, r1\n\tadds r7, r5, r1\n\tadd r9, r7, r1\n\t", QIR_MVE_FOUR_8, "r9"
#define QIR_MVE_FOUR_8(taken)                                                \
    QIR_MVE_FOUR(taken,                                                      \
    "vldrb.8 q1, [r2], #16\n\t"                                              \
    "vmladava.s8 r4, q0, q1\n\t"                                             \
    "vldrb.8 q2, [r5], #16\n\t"                                              \
    "vmladava.s8 r6, q0, q2\n\t"                                             \
    "vldrb.8 q1, [r7], #16\n\t"                                              \
    "vmladava.s8 r8, q0, q1\n\t"                                             \
    "vldrb.8 q2, [r9], #16\n\t"                                              \
    "vmladava.s8 r10, q0, q2\n\t")

#define QIR_MVE_WEIGHTS_4 "mov r8, #0xf0\n\tvdup.8 q6, r8\n\t", "adds r5, r2, r1\n\t", QIR_MVE_FOUR_4, "r5"
#define QIR_MVE_FOUR_4(taken)                                                \
    QIR_MVE_FOUR(taken,                                                      \
    "vldrb.8 q1, [r2], #16\n\t"                                              \
    QIR_MVE_LOWEST("4", "q0", "r4") QIR_MVE_UPPERMOST("q0", "r6")            \
    "vldrb.8 q1, [r5], #16\n\t"                                              \
    QIR_MVE_LOWEST("4", "q0", "r8") QIR_MVE_UPPERMOST("q0", "r10"))

#define QIR_MVE_WEIGHTS_2 "mov r8, #0xc0\n\tvdup.8 q6, r8\n\t", "", QIR_MVE_FOUR_2, "r2"
#define QIR_MVE_FOUR_2(taken)                                                \
    QIR_MVE_FOUR(taken,                                                      \
    "vldrb.8 q1, [r2], #16\n\t"                                              \
    QIR_MVE_LOWEST("6", "q0", "r4") QIR_MVE_FIELD("4", "q0", "r6")           \
    QIR_MVE_FIELD("2", "q0", "r8") QIR_MVE_UPPERMOST("q0", "r10"))

#define QIR_MVE_WEIGHTS_1 "mov r8, #0x80\n\tvdup.8 q6, r8\n\t", "", QIR_MVE_FOUR_1, "r2"
#define QIR_MVE_FOUR_1(taken)                                                \
    "add r7, r1, #31\n\t"                                                    \
    "lsrs r7, r7, #5\n\t"                                                    \
    "mov r5, r0\n\t"                                                         \
    "movs r0, #0\n\t"                                                        \
    "dls lr, r7\n"                                                           \
    "1:\n\t"                                                                 \
    "vldrb.8 q0, [r5], #16\n\t"                                              \
    "vldrb.8 q7, [r5], #16\n\t"                                              \
    "vldrb.8 q1, [r2], #16\n\t"                                              \
    "vaddva.s8 r0, q0\n\t"                                                   \
    "vaddva.s8 r0, q7\n\t"                                                   \
    QIR_MVE_LOWEST("7", "q0", "r4") QIR_MVE_FIELD("6", "q0", "r6")           \
    QIR_MVE_FIELD("5", "q0", "r8") QIR_MVE_FIELD("4", "q0", "r10")           \
    QIR_MVE_FIELD("3", "q7", "r4") QIR_MVE_FIELD("2", "q7", "r6")            \
    QIR_MVE_FIELD("1", "q7", "r8") QIR_MVE_UPPERMOST("q7", "r10")            \
    "le lr, 1b\n\t"                                                          \
    QIR_MVE_FOUR_SUMS                                                        \
    "lsls r0, r0, #6\n\t"                                                    \
    "vadd.i32 q0, q0, r0\n\t"

/* Functions that give these sums. */
#define QIR_MVE_SUMS(name, weights) QIR_MVE_SUMS_OF(name, weights)
#define QIR_MVE_SUMS_OF(name, mask, rows, four, row)                                                                  \
    QIR_ASSEMBLY int32x4_t name(QIR_UNUSED const void *x, QIR_UNUSED int32_t count, QIR_UNUSED const int8_t *w) {     \
        __asm__("push {r4-r10, lr}\n\t"                                                                               \
                "vpush {d12-d15}\n\t"                                                                                 \
                mask                                                                                                  \
                rows                                                                                                  \
                "movs r4, #0\n\t"                                                                                     \
                "movs r6, #0\n\t"                                                                                     \
                "mov r8, #0\n\t"                                                                                      \
                "mov r10, #0\n\t"                                                                                     \
                four(QIR_MVE_SIGNED)                                                                                  \
                "vpop {d12-d15}\n\t"                                                                                  \
                "pop {r4-r10, pc}\n\t");                                                                              \
    }

QIR_MVE_SUMS(qir_mve_sums_8, QIR_MVE_WEIGHTS_8)
QIR_MVE_SUMS(qir_mve_sums_4, QIR_MVE_WEIGHTS_4)
QIR_MVE_SUMS(qir_mve_sums_2, QIR_MVE_WEIGHTS_2)
QIR_MVE_SUMS(qir_mve_sums_1, QIR_MVE_WEIGHTS_1)

/* The sum of one row of bytes. */
static QIR_INLINE int32_t qir_mve_one(const void *x, int32_t count, const int8_t *w) {
    const int8_t *const codes = (const int8_t *)x;
    int32_t sum = 0, at;
    for (at = 0; at < count; at += 16) {
        const mve_pred16_t lanes = vctp8q((uint32_t)(count - at));
        sum = vmladavaq_s8(sum, vldrbq_z_s8(codes + at, lanes), vldrbq_z_s8(w + at, lanes));
    }
    return sum;
}

/* Codes of pixels that follow each other: fours of channels up to the end of their results, [bias 4] and what rounds them;
   rows of `count` weights one after the other. */
typedef struct {
    const void *x; /* codes of a pixel's window; where these are to be signed first, room for them */
    int32_t count;
    const int8_t *w;
    uint8_t *y;
    int32_t back; /* from where vectors of a row end to where the row does */
    const uint32_t *results;
    int32_t zero_point;
    const uint32_t *last;
    int32_t pixels;
    ptrdiff_t step; /* to the window of the next pixel */
    int32_t least;
    int32_t most;
    const uint8_t *from; /* a window whose codes are to be signed: runs of so many codes, `next` apart */
    int32_t run;
    int32_t runs; /* 0 where they are */
    ptrdiff_t next;
} qir_mve_channels;

/* Windows as they are in x, or signed at `from`, the kept place of which is moved on. */
#define QIR_MVE_AS_THEY_ARE ""
#define QIR_MVE_ONE_BY_ONE              \
    "ldrd r7, r5, [sp, #32]\n\t"        \
    "cmp r5, #0\n\t"                    \
    "beq 6f\n\t"                        \
    "ldr r4, [sp, #28]\n\t"             \
    "ldr r6, [sp, #8]\n\t"              \
    "ldr r8, [sp, #40]\n\t"             \
    "mov r9, #128\n"                    \
    "5:\n\t"                            \
    "mov r10, r4\n\t"                   \
    "mov r2, r6\n\t"                    \
    "dlstp.8 lr, r7\n"                  \
    "4:\n\t"                            \
    "vldrb.8 q0, [r10], #16\n\t"        \
    "vadd.i8 q0, q0, r9\n\t"            \
    "vstrb.8 q0, [r2], #16\n\t"         \
    "letp lr, 4b\n\t"                   \
    "add r4, r4, r8\n\t"                \
    "adds r6, r6, r7\n\t"               \
    "subs r5, r5, #1\n\t"               \
    "bne 5b\n"                          \
    "6:\n\t"

/* Where x or `from` is kept. */
#define QIR_MVE_KEPT_UNSIGNED "[sp, #8]\n\t"
#define QIR_MVE_KEPT_SIGNED "[sp, #28]\n\t"

#define QIR_MVE_CODES(name, windows, kept, taken, rounded, weights) \
    QIR_MVE_CODES_OF(name, windows, kept, taken, rounded, weights)
#define QIR_MVE_CODES_OF(name, windows, kept, taken, rounded, mask, rows, four, row) \
    QIR_ASSEMBLY void name(QIR_UNUSED const qir_mve_channels *c) {                \
        __asm__("push {r4-r11, lr}\n\t"                                           \
                "vpush {d8-d15}\n\t"                                              \
                "add r4, r0, #48\n\t"                                             \
                "ldm r4, {r4-r7}\n\t"                                             \
                "push {r4-r7}\n\t"                                                \
                "add r4, r0, #24\n\t"                                             \
                "ldm r4, {r4-r9}\n\t"                                             \
                "ldm r0, {r0-r3, r11, r12}\n\t"                                   \
                "vdup.32 q3, r8\n\t"                                              \
                "vdup.32 q4, r9\n\t"                                              \
                "movs r8, #128\n\t"                                               \
                "vdup.8 q5, r8\n\t"                                               \
                mask                                                              \
                "push {r0, r4-r7}\n\t"                                            \
                "push {r2, r12}\n"                                                \
                "3:\n\t"                                                          \
                windows                                                           \
                "ldrd r2, r12, [sp]\n"                                            \
                "2:\n\t"                                                          \
                "ldr r0, [sp, #8]\n\t"                                            \
                rows                                                              \
                "ldrd r4, r6, [r12], #8\n\t"                                      \
                "ldrd r8, r10, [r12], #8\n\t"                                     \
                four(taken)                                                       \
                "add r2, " row ", r11\n\t"                                        \
                rounded("q0", "q2", "r12")                                        \
                "ldrd r4, r5, [sp, #12]\n\t"                                      \
                "vqadd.s32 q0, q0, r4\n\t"                                        \
                "vmax.s32 q0, q0, q3\n\t"                                         \
                "vmin.s32 q0, q0, q4\n\t"                                         \
                "vstrb.32 q0, [r3], #4\n\t"                                       \
                "cmp r12, r5\n\t"                                                 \
                "bne 2b\n\t"                                                      \
                "ldrd r4, r5, [sp, #20]\n\t"                                      \
                "ldr r0, " kept                                                   \
                "add r0, r0, r5\n\t"                                              \
                "str r0, " kept                                                   \
                "subs r4, r4, #1\n\t"                                             \
                "str r4, [sp, #20]\n\t"                                           \
                "bne 3b\n\t"                                                      \
                "add sp, sp, #44\n\t"                                             \
                "vpop {d8-d15}\n\t"                                               \
                "pop {r4-r11, pc}\n\t");                                          \
    }

/* The same where windows are pixels of at most 16 codes, in place: weights of four channels stay in vectors for all pixels.
   The upper bound is one of saturation: min(v + zero_point, most) = (v + (zero_point + m)) - m, where m = 2^31 - 1 - most
   and the sum saturates; the binder knows that zero_point is no more than `most`. */
#define QIR_MVE_SHORT_CODES(name, windows, kept, taken, rounded, weights)         \
    QIR_ASSEMBLY void name(QIR_UNUSED const qir_mve_channels *c) {                \
        __asm__("push {r4-r11, lr}\n\t"                                           \
                "vpush {d8-d15}\n\t"                                              \
                "ldm r0, {r4-r7}\n\t"                                             \
                "mov r11, r6\n\t"                                                 \
                "add r0, r0, #20\n\t"                                             \
                "ldm r0, {r0-r3, r8-r10}\n\t"                                     \
                "vctp.8 r5\n\t"                                                   \
                "vdup.32 q7, r9\n\t"                                              \
                "mvn r9, #0x80000000\n\t"                                         \
                "sub r9, r9, r10\n\t"                                             \
                "sub r12, r2, r0\n\t"                                             \
                "lsr r12, r12, #3\n\t"                                            \
                "push {r2, r3, r4, r5, r6, r7}\n\t"                               \
                "add r7, r1, r9\n\t"                                              \
                "mov r1, r8\n\t"                                                  \
                "mov r2, r0\n"                                                    \
                "2:\n\t"                                                          \
                "ldrd r0, r4, [sp, #8]\n\t"                                       \
                "ldr r3, [sp, #20]\n\t"                                           \
                "adds r5, r3, #4\n\t"                                             \
                "str r5, [sp, #20]\n\t"                                           \
                "vpst\n\tvldrbt.8 q1, [r11]\n\tadd r11, r11, r4\n\t"              \
                "vpst\n\tvldrbt.8 q2, [r11]\n\tadd r11, r11, r4\n\t"              \
                "vpst\n\tvldrbt.8 q3, [r11]\n\tadd r11, r11, r4\n\t"              \
                "vpst\n\tvldrbt.8 q4, [r11]\n\tadd r11, r11, r4\n\t"              \
                "vldrw.32 q5, [r2], #16\n\t"                                      \
                "vldrw.32 q6, [r2], #16\n\t"                                      \
                "movs r5, #128\n\t"                                               \
                "ldr r4, [sp, #4]\n\t"                                            \
                "dls lr, r4\n"                                                    \
                "1:\n\t"                                                          \
                "vpst\n\tvldrbt.8 q0, [r0]\n\t"                                   \
                "add r0, r0, r1\n\t"                                              \
                "vadd.i8 q0, q0, r5\n\t"                                          \
                "vmladav.s8 r4, q0, q1\n\t"                                       \
                "vmladav.s8 r6, q0, q2\n\t"                                       \
                "vmladav.s8 r8, q0, q3\n\t"                                       \
                "vmladav.s8 r10, q0, q4\n\t"                                      \
                "vmov q0[2], q0[0], r4, r8\n\t"                                   \
                "vmov q0[3], q0[1], r6, r10\n\t"                                  \
                "vadd.i32 q0, q0, q5\n\t"                                         \
                "vcvt.f32.s32 q0, q0\n\t"                                         \
                "vmul.f32 q0, q0, q6\n\t"                                         \
                "vcvtn.s32.f32 q0, q0\n\t"                                        \
                "vqadd.s32 q0, q0, r7\n\t"                                        \
                "vqsub.s32 q0, q0, r9\n\t"                                        \
                "vmax.s32 q0, q0, q7\n\t"                                         \
                "vstrb.32 q0, [r3]\n\t"                                           \
                "add r3, r3, r12\n\t"                                             \
                "le lr, 1b\n\t"                                                   \
                "ldr r4, [sp]\n\t"                                                \
                "cmp r2, r4\n\t"                                                  \
                "bne 2b\n\t"                                                      \
                "add sp, sp, #24\n\t"                                             \
                "vpop {d8-d15}\n\t"                                               \
                "pop {r4-r11, pc}\n\t");                                          \
    }

#endif
