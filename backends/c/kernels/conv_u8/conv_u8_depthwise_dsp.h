/* Depthwise convolution of three by three taps on pairs of 16 bits: codes of four channels of a line of pixels are taken
   apart, so that each channel's neighbours lie side by side. Of taps v0 v1 v2 of a line, the pairs (v0, v1) and (v1, v2)
   give the sums of two outputs from the pairs of pixels (p0, p1), (p2, p3) and, where they are two apart, (p4, p5):
   v0 p0 + v1 p1 + v2 p2, and v0 p1 + v1 p2 + v2 p3 or v0 p2 + v1 p3 + v2 p4.

   A line is a row or a column of the input, whichever is longer; lines follow each other across it. */
#ifndef QIR_CONV_U8_DEPTHWISE_DSP_H
#define QIR_CONV_U8_DEPTHWISE_DSP_H

#include "../../runtime/qir_dsp.h"
#include "conv_u8.h"

typedef struct {
    int32_t in; /* pixels, or lines */
    int32_t out;
    int32_t stride;
    int32_t pad;
    int32_t x_step; /* codes of x from one to the next */
    int32_t y_step;
} qir_conv_u8_depthwise_axis;

typedef struct {
    int32_t batch;
    int32_t channels;
    int32_t x_zero_point;
    int32_t pairs; /* of a line, what lies outside the input included */
    qir_conv_u8_depthwise_axis along;
    qir_conv_u8_depthwise_axis across;
    qir_requant requant;
} qir_conv_u8_depthwise_lines;

/* What the results of a line of one channel are made of. */
typedef struct {
    int32_t bias[2]; /* twice the same */
    float multiplier;
    int32_t zero_point;
    int32_t y_step;
    uint32_t w[10]; /* (v0, v1), (v1, v2) of three lines; then those of the first two again */
    uint32_t least;
    uint32_t most;
} qir_dsp_taps;

/* Sums of a line of taps, r10 and r11, from the next pair of pixels and the one after it. */
#define QIR_DSP_LINE_BY_1(low, high)          \
    "ldr r12, [r0], #4\n\t"                   \
    "ldr lr, [r0, #8]\n\t"                    \
    "smlad r10, r12, " low ", r10\n\t"        \
    "smlatb r11, r12, " low ", r11\n\t"       \
    "smlabt r10, lr, " high ", r10\n\t"       \
    "smlad r11, lr, " high ", r11\n\t"

#define QIR_DSP_LINE_BY_2(low, high)          \
    "ldr r12, [r0], #4\n\t"                   \
    "ldr lr, [r0, #8]\n\t"                    \
    "smlad r10, r12, " low ", r10\n\t"        \
    "ldr r12, [r0, #20]\n\t"                  \
    "smlabt r10, lr, " high ", r10\n\t"       \
    "smlad r11, lr, " low ", r11\n\t"         \
    "smlabt r11, r12, " high ", r11\n\t"

/* To the next pair of outputs, from the next pair of pixels. */
#define QIR_DSP_SKIP_1 ""
#define QIR_DSP_SKIP_2 "add r0, r0, #12\n\t"

/* A code, of a sum that is a float already scaled, between bounds other than 0 and 255. */
#define QIR_DSP_CLAMP(code)                   \
    "usub8 lr, " code ", r12\n\t"             \
    "sel " code ", " code ", r12\n\t"         \
    "usub8 lr, r1, " code "\n\t"              \
    "sel " code ", " code ", r1\n\t"

#define QIR_DSP_BYTES ""
#define QIR_DSP_CLAMPED                       \
    "vmov r12, s7\n\t"                        \
    "vmov r1, s8\n\t"                         \
    QIR_DSP_CLAMP("r10")                      \
    QIR_DSP_CLAMP("r11")

/* void name(const uint32_t *x, const qir_dsp_taps *t, int32_t left, uint8_t *y, ptrdiff_t turn): as many outputs as are
   left, from x [pair of pixels][three lines], the first of which has the taps from turn on. */
#define QIR_DSP_LINE(name, line, skip, clamp)                                                                        \
    QIR_ASSEMBLY void name(QIR_UNUSED const uint32_t *x, QIR_UNUSED const qir_dsp_taps *t,                        \
                               QIR_UNUSED int32_t left, QIR_UNUSED uint8_t *y, QIR_UNUSED int32_t turn) {             \
        __asm__("push {r4-r11, lr}\n\t"                                                                              \
                "ldr r12, [sp, #36]\n\t"                                                                             \
                "add r12, r1, r12, lsl #3\n\t"                                                                       \
                "add r12, r12, #20\n\t"                                                                              \
                "ldm r12, {r4-r9}\n\t"                                                                               \
                "vldm r1, {s2-s6}\n\t"                                                                               \
                "vldr s7, [r1, #60]\n\t"                                                                             \
                "vldr s8, [r1, #64]\n"                                                                               \
                "1:\n\t"                                                                                             \
                "vmov r10, r11, s2, s3\n\t"                                                                          \
                line("r4", "r5")                                                                                     \
                line("r6", "r7")                                                                                     \
                line("r8", "r9")                                                                                     \
                skip                                                                                                 \
                "vmov s0, s1, r10, r11\n\t"                                                                          \
                "vcvt.f32.s32 s0, s0\n\t"                                                                            \
                "vcvt.f32.s32 s1, s1\n\t"                                                                            \
                "vmul.f32 s0, s0, s4\n\t"                                                                            \
                "vmul.f32 s1, s1, s4\n\t"                                                                            \
                "vcvtr.s32.f32 s0, s0\n\t"                                                                           \
                "vcvtr.s32.f32 s1, s1\n\t"                                                                           \
                "vmov r1, s5\n\t"                                                                                    \
                "vmov r10, r11, s0, s1\n\t"                                                                          \
                "qadd r10, r10, r1\n\t"                                                                              \
                "qadd r11, r11, r1\n\t"                                                                              \
                "usat r10, #8, r10\n\t"                                                                              \
                "usat r11, #8, r11\n\t"                                                                              \
                clamp                                                                                                \
                "vmov r1, s6\n\t"                                                                                    \
                "strb r10, [r3]\n\t"                                                                                 \
                "subs r2, r2, #2\n\t"                                                                                \
                "it ge\n\t"                                                                                          \
                "strbge r11, [r3, r1]\n\t"                                                                           \
                "add r3, r3, r1, lsl #1\n\t"                                                                         \
                "bgt 1b\n\t"                                                                                         \
                "pop {r4-r11, pc}\n\t");                                                                             \
    }

/* Halves of two words: the lower ones, and the upper ones. */
static QIR_INLINE uint32_t qir_dsp_lower(uint32_t a, uint32_t b) {
    uint32_t pair;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(a), "r"(b));
    return pair;
}

static QIR_INLINE uint32_t qir_dsp_upper(uint32_t a, uint32_t b) {
    uint32_t pair;
    __asm__("pkhtb %0, %2, %1, asr #16" : "=r"(pair) : "r"(a), "r"(b));
    return pair;
}

/* Two pixels of a line, of four channels each, to the pairs of channels, `plane` apart. */
static QIR_INLINE void qir_dsp_split(uint32_t a, uint32_t b, uint32_t *to, int32_t plane) {
    const uint32_t a02 = qir_dsp_even(a), a13 = qir_dsp_odd(a), b02 = qir_dsp_even(b), b13 = qir_dsp_odd(b);
    to[0] = qir_dsp_lower(a02, b02);
    to[plane] = qir_dsp_lower(a13, b13);
    to[2 * plane] = qir_dsp_upper(a02, b02);
    to[3 * plane] = qir_dsp_upper(a13, b13);
}

/* A line, NULL where it lies outside the input, as [four channels][pairs][three lines], one of these. */
static QIR_ALONE void qir_dsp_split_line(const qir_conv_u8_depthwise_lines *s, const uint8_t *line, uint32_t *to) {
    const uint32_t zero = (uint32_t)s->x_zero_point * 0x1010101u, in = line ? (uint32_t)s->along.in : 0;
    const uint32_t both = in ? in - 1 : 0; /* the first pixel of a pair of which both are inside is below */
    const int32_t plane = 3 * s->pairs;
    const ptrdiff_t step = s->along.x_step;
    const uint32_t *const end = to + plane;
    uint32_t at = 0u - (uint32_t)s->along.pad;
    ptrdiff_t from = -s->along.pad * step;
    for (; to != end; to += 3, from += 2 * step, at += 2) {
        uint32_t a = zero, b = zero;
        if (at < both) {
            a = qir_dsp_word(line + from);
            b = qir_dsp_word(line + from + step);
        } else if (at < in) {
            a = qir_dsp_word(line + from);
        } else if (at + 1 < in) {
            b = qir_dsp_word(line + from + step);
        }
        qir_dsp_split(a, b, to, plane);
    }
}

/* Weights [line][tap][channel] of one channel. */
static inline void qir_dsp_join_taps(const int8_t *w, int32_t channels, qir_dsp_taps *t) {
    int32_t line;
    for (line = 0; line < 5; ++line) {
        const int8_t *const v = w + 3 * (line % 3) * channels;
        const uint32_t middle = (uint32_t)v[channels];
        t->w[2 * line] = qir_dsp_lower((uint32_t)v[0], middle);
        t->w[2 * line + 1] = qir_dsp_lower(middle, (uint32_t)v[2 * channels]);
    }
}

#endif
