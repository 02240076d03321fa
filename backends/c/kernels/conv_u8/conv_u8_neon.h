/* What the tiles on ARM's vectors share, whatever multiplies their codes. */
#ifndef QIR_CONV_U8_NEON_H
#define QIR_CONV_U8_NEON_H

#include "../../runtime/qir_neon.h"
#include "conv_u8_blocks.h"

/* A tile of up to `most` output pixels by a panel of sixteen channels, as qir_conv_u8_tile_function, of results of a
   type: `begin` declares sums, `add` adds the products of a segment with the weights from w on, `end` stores rows of
   sixteen to `to`, `step` apart, by `scale` and `q`. */
#define QIR_NEON_TILE(function, type, part16, most, begin, add, end)                                    \
    QIR_IN_ORDER static void function(const qir_conv_u8_tile *t, ptrdiff_t from, void *y) {             \
        const ptrdiff_t stride = t->stride;                                                             \
        const void *const *segment = t->segment;                                                        \
        const int8_t *w = t->weights;                                                                   \
        const int32_t whole = t->channels >= 16;                                                        \
        type part[(most) * 16];                                                                         \
        type *const to = whole ? (type *)y : part;                                                      \
        const ptrdiff_t step = whole ? t->step : 16;                                                    \
        int32_t segments = t->segments;                                                                 \
        begin do {                                                                                      \
            add ++segment;                                                                              \
        } while (--segments);                                                                           \
        {                                                                                               \
            const qir_requant4 q = qir_widen_requant4(t->requant);                                      \
            const float32x4_t scale[4] = {vld1q_f32(t->multiplier), vld1q_f32(t->multiplier + 4),       \
                                          vld1q_f32(t->multiplier + 8), vld1q_f32(t->multiplier + 12)}; \
            end                                                                                         \
        }                                                                                               \
        (void)stride;                                                                                   \
        if (!whole) {                                                                                   \
            part16(part, t->pixels, t->channels, (type *)y, t->step);                                   \
        }                                                                                               \
    }

/* Sums a, b, c, d of pixel i, for four channels each. */
#define QIR_NEON_BEGIN(i)                                               \
    int32x4_t a##i = vld1q_s32(t->bias), b##i = vld1q_s32(t->bias + 4); \
    int32x4_t c##i = vld1q_s32(t->bias + 8), d##i = vld1q_s32(t->bias + 12);
#define QIR_NEON_FROM(i) const int8_t *x##i = (const int8_t *)*segment + (from + i * stride);
#define QIR_NEON_SIXTEEN(i) const int8x16_t codes##i = vld1q_s8(x##i); x##i += 16;
#define QIR_NEON_FOUR(i) const int8x16_t codes##i = vreinterpretq_s8_s32(vdupq_n_s32(qir_four_bytes(x##i))); x##i += 4;

/* The products of a segment: `step(n, k)` takes codes 4 k .. 4 k + 3 of each of n pixels. */
#define QIR_NEON_SEGMENT(n, step)                                                  \
    int32_t left;                                                                  \
    QIR_EACH_##n(QIR_NEON_FROM) for (left = t->steps / 4; left; --left) {          \
        QIR_EACH_##n(QIR_NEON_SIXTEEN) step(n, 0) step(n, 1) step(n, 2) step(n, 3) \
    }                                                                              \
    for (left = t->steps % 4; left; --left) {                                      \
        QIR_EACH_##n(QIR_NEON_FOUR) step(n, 0)                                     \
    }

#endif
