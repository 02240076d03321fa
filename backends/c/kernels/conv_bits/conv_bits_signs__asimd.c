#include "conv_bits_neon.h"

/* Products of bits of which signs are wanted, a bit each: binary by binary, one threshold a channel. On 64-bit ARM.

   With n ones of x ^ w, bias b, threshold t and o, what taps outside the input have not taken off, a bit is set where
   b + o - step * n >= t, so where n <= limit = floor((b - t + o) / step). Lanes of 16 bits, channels, start with
   32767 - limit and count n: their upper bit is clear where the result's is to be set, and nothing wraps around, as
   limits are kept to -1 .. 32767.

   What it takes: an exclusive or, a count and an addition for each 128 products of bits. A full adder, three
   instructions that spare two, a count and an addition, does not pay. Of 32 registers 16 hold sums, 4 weights and 4
   bits of x, so that 16 such threes share two loads: 3.125 instructions; 24 sums would share three loads. A step is 16
   bits of each channel. */

/* Four pixels: bits side by side, [step][pixel][2]; for each what its channels start with, and where results go. */
typedef struct {
    const uint8_t *x;
    uint32_t whole; /* eighteens of steps */
    uint32_t rest;  /* steps beside these */
    int32_t bytes;  /* of a result */
    const uint16_t *start[4];
    uint8_t *y[4];
} qir_bits_four;

/* 16 bits of each pixel, spread over a vector; they are written before the function that loads them is called. */
#if defined(__GNUC__)
#define QIR_SIGNS_SPREAD                            \
    register uint16x8_t spread0 __asm__("v4");      \
    register uint16x8_t spread1 __asm__("v5");      \
    register uint16x8_t spread2 __asm__("v6");      \
    register uint16x8_t spread3 __asm__("v7");      \
    __asm__ volatile("ld4r {%0.8h-%3.8h}, [%4], #8" \
                     : "=w"(spread0), "=w"(spread1), "=w"(spread2), "=w"(spread3), "+r"(x));
#define QIR_SIGNS_BEGIN(i, v0, v1, v2, v3)          \
    register uint16x8_t a##i __asm__(v0);           \
    register uint16x8_t b##i __asm__(v1);           \
    register uint16x8_t c##i __asm__(v2);           \
    register uint16x8_t d##i __asm__(v3);           \
    __asm__ volatile("ld1 {%0.8h-%3.8h}, [%4], #64" \
                     : "=w"(a##i), "=w"(b##i), "=w"(c##i), "=w"(d##i), "+r"(start##i));
#define QIR_SIGNS_STORE(i) __asm__ volatile("st1 {%1.s}[%2], [%0], #4" : "+r"(y##i) : "w"(signs), "i"(i) : "memory");
#else
#define QIR_SIGNS_SPREAD QIR_NEON_BITS_SPREAD4 x += 8;
#define QIR_SIGNS_START(a, i, vector) uint16x8_t a##i = vld1q_u16(start##i + 8 * vector);
#define QIR_SIGNS_BEGIN(i, v0, v1, v2, v3) QIR_NEON_BITS_VECTORS(QIR_SIGNS_START, i) start##i += 32;
#define QIR_SIGNS_STORE(i)                             \
    vst1q_lane_u32((uint32_t *)(void *)y##i, signs, i); \
    y##i += 4;
#endif
#define QIR_SIGNS_FROM(i)                   \
    const uint16_t *start##i = f->start[i]; \
    uint8_t *y##i = f->y[i];
#define QIR_SIGNS_STEP                                     \
    {                                                      \
        QIR_NEON_BITS_WEIGHTS QIR_SIGNS_SPREAD             \
        QIR_EACH_4(QIR_NEON_BITS_XORS) QIR_ADVANCE(w, 64); \
    }
#define QIR_SIGNS_CLEAR(low, high) \
    vandq_u8(own, vcgezq_s8(vuzp2q_s8(vreinterpretq_s8_u16(low), vreinterpretq_s8_u16(high))))
#define QIR_SIGNS_PAIRS(i) \
    const uint8x16_t pairs##i = vpaddq_u8(QIR_SIGNS_CLEAR(a##i, b##i), QIR_SIGNS_CLEAR(c##i, d##i));
#define QIR_SIGNS_REST(i) memcpy(y##i, word + i, (size_t)left);

/* All channels. Bits of a byte are those of eight neighbours; each keeps its own, then they are added three times. */
QIR_IN_ORDER static void qir_bits_signs(const qir_bits_four *f, const uint8_t *w) {
    const uint8x16_t own = vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201)));
    int32_t left;
    QIR_EACH_4(QIR_SIGNS_FROM)
    for (left = f->bytes; left > 0; left -= 4) {
        const uint8_t *x = f->x;
        uint8x16_t fours, fours2;
        uint32x4_t signs;
        uint32_t steps;
        QIR_SIGNS_BEGIN(0, "v16", "v17", "v18", "v19")
        QIR_SIGNS_BEGIN(1, "v20", "v21", "v22", "v23")
        QIR_SIGNS_BEGIN(2, "v24", "v25", "v26", "v27")
        QIR_SIGNS_BEGIN(3, "v28", "v29", "v30", "v31")
        for (steps = f->whole; steps; --steps) { /* three by three taps of 64 channels are 36 steps */
            QIR_SIGNS_STEP QIR_SIGNS_STEP QIR_SIGNS_STEP QIR_SIGNS_STEP QIR_SIGNS_STEP QIR_SIGNS_STEP
            QIR_SIGNS_STEP QIR_SIGNS_STEP QIR_SIGNS_STEP QIR_SIGNS_STEP QIR_SIGNS_STEP QIR_SIGNS_STEP
            QIR_SIGNS_STEP QIR_SIGNS_STEP QIR_SIGNS_STEP QIR_SIGNS_STEP QIR_SIGNS_STEP QIR_SIGNS_STEP
        }
        for (steps = f->rest; steps; --steps) {
            QIR_SIGNS_STEP
        }
        {
            QIR_EACH_4(QIR_SIGNS_PAIRS)
            fours = vpaddq_u8(pairs0, pairs1);
            fours2 = vpaddq_u8(pairs2, pairs3);
        }
        signs = vreinterpretq_u32_u8(vpaddq_u8(fours, fours2));
        if (left >= 4) {
            QIR_EACH_4(QIR_SIGNS_STORE)
        } else {
            uint32_t word[4];
            vst1q_u32(word, signs);
            QIR_EACH_4(QIR_SIGNS_REST)
        }
    }
}

/* Whether windows are pixels of x, in their order, and whole vectors long. */
static inline int qir_bits_near(const qir_conv_bits_shape *s) {
    const qir_window *const win = &s->window;
    int32_t axis, near = s->bytes % 16 == 0;
    for (axis = 0; axis < 3; ++axis) {
        near &= win->kernel[axis] == 1 && win->pad[axis] == 0 && win->in[axis] == win->out[axis];
    }
    return near;
}

/* Windows of four pixels side by side; what is read beyond their bytes, up to a whole vector, nobody counts. */
static inline void qir_bits_beside(const uint8_t *const from[4], int32_t bytes, uint8_t *to) {
    int32_t at;
    for (at = 0; at < bytes; at += 16, to += 64) {
        uint16x8x4_t v;
        v.val[0] = vreinterpretq_u16_u8(vld1q_u8(from[0] + at));
        v.val[1] = vreinterpretq_u16_u8(vld1q_u8(from[1] + at));
        v.val[2] = vreinterpretq_u16_u8(vld1q_u8(from[2] + at));
        v.val[3] = vreinterpretq_u16_u8(vld1q_u8(from[3] + at));
        vst4q_u16((uint16_t *)(void *)to, v);
    }
}

/* `base`: b - t; `more`: o, or null. */
static inline void qir_bits_starts(int32_t step, const int32_t *base, const int32_t *more, ptrdiff_t count,
                                   uint16_t *start) {
    ptrdiff_t m;
    for (m = 0; m < count; ++m) {
        int32_t limit = base[m] + (more ? more[m] : 0);
        limit = step == 2 ? limit >> 1 : limit;
        limit = limit < -1 ? -1 : limit;
        limit = limit > 32767 ? 32767 : limit;
        start[m] = (uint16_t)(32767 - limit);
    }
}

/* Weights: [panel of 32 channels][step][channel][2], zeros where there is no channel or bit; base: bias less threshold,
   filled up to qir_bits_pitch channels so that nothing reaches them. The last pixels are taken with those before.
   scratch holds windows of four pixels, the same side by side, sums of taps outside the input, and what channels start
   with. */
void qir_conv_bits_signs__asimd(const qir_conv_bits_shape *s, const uint8_t *QIR_RESTRICT x,
                                const uint8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT base,
                                const int32_t *QIR_RESTRICT outside, void *QIR_RESTRICT scratch,
                                uint8_t *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int32_t pixels = qir_pixels(win), taps = win->kernel[0] * win->kernel[1] * win->kernel[2];
    const int32_t words = (s->words + 1) / 2 * 2, near = qir_bits_near(s), steps = (taps * s->bytes + 1) / 2;
    const ptrdiff_t pitch = qir_bits_pitch(s);
    uint64_t *const rows = (uint64_t *)scratch;
    uint8_t *const beside = (uint8_t *)(rows + (ptrdiff_t)4 * words);
    int32_t *const sums = (int32_t *)(void *)(beside + (ptrdiff_t)32 * words);
    uint16_t *const start = (uint16_t *)(void *)(sums + pitch);
    qir_bits_four four;
    int32_t pixel, i;
    four.x = beside;
    four.whole = (uint32_t)steps / 18;
    four.rest = (uint32_t)steps % 18;
    four.bytes = (s->outputs + 7) / 8;
    memset(rows, 0, (size_t)(4 * words) * sizeof *rows);
    qir_bits_starts(s->step, base, 0, pitch, start);
    for (pixel = 0; pixel < pixels; pixel += 4) {
        const int32_t first = pixel + 4 <= pixels ? pixel : pixels - 4;
        const uint8_t *from[4];
        for (i = 0; i < 4; ++i) {
            const int32_t at = first + i < 0 ? 0 : first + i;
            four.start[i] = start;
            four.y[i] = y + (ptrdiff_t)at * four.bytes;
            if (near) {
                from[i] = x + (ptrdiff_t)at * s->bytes;
            } else {
                qir_taps t;
                from[i] = (const uint8_t *)(rows + (ptrdiff_t)i * words);
                qir_find_taps(win, at, &t);
                (void)qir_bits_window(s, x, &t, 0, rows + (ptrdiff_t)i * words);
                if (s->padded && !qir_bits_inside(win, &t)) {
                    uint16_t *const own = start + (i + 1) * pitch;
                    memset(sums, 0, (size_t)pitch * sizeof *sums);
                    qir_bits_outside(s, outside, &t, sums);
                    qir_bits_starts(s->step, base, sums, pitch, own);
                    four.start[i] = own;
                }
            }
        }
        qir_bits_beside(from, 2 * steps, beside);
        qir_bits_signs(&four, w);
    }
}
