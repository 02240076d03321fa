/* Tiles of one to four rows, two with the 16 registers of 32-bit ARM, by a panel of sixteen channels on NEON; and what
   the tiles for ARM's later instruction sets have in common with them. */
#ifndef QIR_PANELS_NEON_H
#define QIR_PANELS_NEON_H

#include "qir_panels.h"
#include "qir_sum_neon.h"

/* Four vectors by one instruction, which wants neighbouring registers: weights w0 .. w3, and the scales of sixteen
   channels. None of them change while a tile is computed. */
#if defined(__aarch64__) && defined(__GNUC__)
#define QIR_NEON_FOUR_WEIGHTS            \
    register int8x16_t w0 __asm__("v0"); \
    register int8x16_t w1 __asm__("v1"); \
    register int8x16_t w2 __asm__("v2"); \
    register int8x16_t w3 __asm__("v3"); \
    __asm__("ld1 {%0.16b-%3.16b}, [%4], #64" : "=w"(w0), "=w"(w1), "=w"(w2), "=w"(w3), "+r"(w));
#define QIR_NEON_FOUR_SCALES               \
    register float32x4_t s0 __asm__("v0"); \
    register float32x4_t s1 __asm__("v1"); \
    register float32x4_t s2 __asm__("v2"); \
    register float32x4_t s3 __asm__("v3");
#define QIR_NEON_LOAD_SCALES(from)                            \
    __asm__ volatile("ld1 {%0.4s-%3.4s}, [%4]"                \
                     : "=w"(s0), "=w"(s1), "=w"(s2), "=w"(s3) \
                     : "r"(from), "m"(*(const float(*)[16])(from)));
#define QIR_NEON_FOUR_SUMS(a, b, c, d, from)              \
    __asm__ volatile("ld1 {%0.4s-%3.4s}, [%4]"            \
                     : "=w"(a), "=w"(b), "=w"(c), "=w"(d) \
                     : "r"(from), "m"(*(const int32_t(*)[16])(from)));
#else
#define QIR_NEON_FOUR_WEIGHTS                                                                              \
    const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16), w2 = vld1q_s8(w + 32), w3 = vld1q_s8(w + 48); \
    w += 64;
#define QIR_NEON_FOUR_SCALES float32x4_t s0, s1, s2, s3;
#define QIR_NEON_LOAD_SCALES(from) \
    s0 = vld1q_f32(from);          \
    s1 = vld1q_f32((from) + 4);    \
    s2 = vld1q_f32((from) + 8);    \
    s3 = vld1q_f32((from) + 12);
#endif

/* Sixteen codes of row i, or also the next sixteen, by one instruction, which advances its pointer. */
#if defined(__aarch64__) && defined(__GNUC__)
#define QIR_NEON_ONCE_SIXTEEN(i, codes, load) \
    __asm__("ldr %q0, [%1], #16" : "=w"(codes), "+r"(x##i) : "m"(*(const uint8_t(*)[16])(const void *)x##i));
#define QIR_NEON_TWICE_SIXTEEN(i, codes, next, load) \
    __asm__("ldp %q0, %q1, [%2], #32"                \
            : "=w"(codes), "=w"(next), "+r"(x##i)    \
            : "m"(*(const uint8_t(*)[32])(const void *)x##i));
#else
#define QIR_NEON_ONCE_SIXTEEN(i, codes, load) \
    codes = load(x##i);                       \
    x##i += 16;
#define QIR_NEON_TWICE_SIXTEEN(i, codes, next, load) \
    codes = load(x##i);                              \
    next = load(x##i + 16);                          \
    x##i += 32;
#endif

/* A qir_panel_tile of some rows: `once` declares `biases` and what else is for all tiles, `begin` sums, `add` adds the
   products of a segment with the weights from w on, `kind` is that of results, OWN or SUMS, `end` stores them, rows of
   a type, by q, which is read again for every tile: it would take registers from sums. */
#define QIR_NEON_TILE(function, rows, type, once, begin, add, kind, end)                                        \
    QIR_IN_ORDER static void function(const qir_panel *panel, const qir_row *row, int32_t tiles, void *into) {  \
        const qir_panel p = *panel;                                                                             \
        const qir_requant4 requant = qir_widen_requant4(p.requant);                                             \
        const uint32_t fours = (uint32_t)p.steps / 4, rest = (uint32_t)p.steps % 4;                             \
        type *const y = (type *)into;                                                                           \
        QIR_NEON_NUMBERS_##kind once                                                                            \
        for (; tiles; --tiles, row += rows) {                                                                   \
            const void *const *segment = p.segment;                                                             \
            const int8_t *w = p.weights;                                                                        \
            const int32_t *bias = biases;                                                                       \
            const qir_requant4 *again = &requant;                                                               \
            int32_t segments = p.segments;                                                                      \
            begin do {                                                                                          \
                const uint8_t *const x = (const uint8_t *)*segment++ + p.from;                                  \
                uint32_t left;                                                                                  \
                add                                                                                             \
            } while (--segments);                                                                               \
            QIR_HIDE(again);                                                                                    \
            {                                                                                                   \
                const qir_requant4 q = {again->low, again->high, again->zero_point, again->least, again->most}; \
                end                                                                                             \
            }                                                                                                   \
        }                                                                                                       \
    }

#define QIR_NEON_ONCE const int32_t *const biases = p.bias;

/* Stores the sums of row i, four channels each, by the scales of QIR_NEON_SCALES. */
#define QIR_NEON_SCALES                                     \
    QIR_NEON_FOUR_SCALES QIR_NEON_LOAD_SCALES(p.multiplier) \
    const float32x4_t scale[4] = {s0, s1, s2, s3};
#define QIR_NEON_STORE(i, store16)                          \
    {                                                       \
        const int32x4_t sums[4] = {a##i, b##i, c##i, d##i}; \
        store16(sums, scale, q, y + row[i].to);             \
    }

/* Two kinds of results: their own, and sums with other codes. */
#define QIR_NEON_NUMBERS_OWN
#define QIR_NEON_NUMBERS_SUMS                                       \
    const qir_neon_sum_numbers numbers = qir_neon_widen_sum(p.sum); \
    const int32_t own_first = p.sum->own_first;
#define QIR_NEON_OTHER(i) vld1q_u8(p.other + row[i].to)
#define QIR_NEON_STORE_SUM(i)                                                                            \
    {                                                                                                    \
        const int32x4_t sums[4] = {a##i, b##i, c##i, d##i};                                              \
        vst1q_u8(y + row[i].to, qir_neon_sum16(sums, scale, &numbers, QIR_NEON_OTHER(i), own_first, q)); \
    }

/* Sums a, b, c, d of row i, and its codes by sixteen and by four. The bias is loaded for every row: gcc would copy the
   sums of the first, one by one. */
#define QIR_NEON_BEGIN(i)                                              \
    int32x4_t a##i = vld1q_s32(bias), b##i = vld1q_s32(bias + 4);      \
    int32x4_t c##i = vld1q_s32(bias + 8), d##i = vld1q_s32(bias + 12); \
    QIR_HIDE(bias);

/* The same with the row's offset. */
#define QIR_NEON_BEGIN_OFFSET(i)                                                                              \
    const int32x4_t offset##i = vdupq_n_s32(row[i].offset);                                                   \
    int32x4_t a##i = vaddq_s32(vld1q_s32(bias), offset##i), b##i = vaddq_s32(vld1q_s32(bias + 4), offset##i); \
    int32x4_t c##i = vaddq_s32(vld1q_s32(bias + 8), offset##i), d##i = vaddq_s32(vld1q_s32(bias + 12), offset##i);
#define QIR_NEON_FROM(i) const int8_t *x##i = (const int8_t *)x + row[i].from;
#define QIR_NEON_SIXTEEN(i) const int8x16_t codes##i = vld1q_s8(x##i); QIR_ADVANCE(x##i, 16);
#define QIR_NEON_FOUR_CODES(from) vreinterpretq_s8_s32(vdupq_n_s32(qir_four_bytes(from)))
#define QIR_NEON_FOUR(i) const int8x16_t codes##i = QIR_NEON_FOUR_CODES(x##i); QIR_ADVANCE(x##i, 4);

/* The products of a segment: `step(n, k, ...)` takes codes 4 k .. 4 k + 3 of each of n rows. */
#define QIR_NEON_SEGMENT(n, step, add)                                                                 \
    QIR_EACH_##n(QIR_NEON_FROM) for (left = fours; left; --left) {                                     \
        QIR_EACH_##n(QIR_NEON_SIXTEEN) step(n, 0, add) step(n, 1, add) step(n, 2, add) step(n, 3, add) \
    }                                                                                                  \
    for (left = rest; left; --left) {                                                                  \
        QIR_EACH_##n(QIR_NEON_FOUR) step(n, 0, add)                                                    \
    }

/* sums(i) adds the products of spread codes of row i with w0 .. w3. A vector of weights holds codes 0 and 1 of four
   channels, then codes 2 and 3; a row's codes are spread likewise, 0 and 1 four times, 2 and 3 four times, so that the
   four sums of qir_neon_by_twos are those of four channels. */
#if defined(__aarch64__)
#define QIR_NEON_SPREADS                                                                              \
    const uint8x16_t first = {0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3};                        \
    const uint8x16_t second = vaddq_u8(first, vdupq_n_u8(4)), third = vaddq_u8(first, vdupq_n_u8(8)); \
    const uint8x16_t spreads[4] = {first, second, third, vaddq_u8(first, vdupq_n_u8(12))};
#define QIR_NEON_SPREAD(codes) vqtbl1q_s8(codes, spreads[four])
#else
#define QIR_NEON_SPREADS
#define QIR_NEON_TWO(codes, at) vdup_lane_s16(at < 4 ? vget_low_s16(codes) : vget_high_s16(codes), (at) % 4)
#define QIR_NEON_SPREAD(codes)                                                             \
    vreinterpretq_s8_s16(vcombine_s16(QIR_NEON_TWO(vreinterpretq_s16_s8(codes), 2 * four), \
                                      QIR_NEON_TWO(vreinterpretq_s16_s8(codes), 2 * four + 1)))
#endif
#define QIR_NEON_SUMS(i, add)                               \
    {                                                       \
        const int8x16_t spread = QIR_NEON_SPREAD(codes##i); \
        a##i = add(a##i, spread, w0);                       \
        b##i = add(b##i, spread, w1);                       \
        c##i = add(c##i, spread, w2);                       \
        d##i = add(d##i, spread, w3);                       \
    }
#define QIR_NEON_STEP(n, k, sums)                                                                              \
    {                                                                                                          \
        enum { four = k };                                                                                     \
        const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16), w2 = vld1q_s8(w + 32), w3 = vld1q_s8(w + 48); \
        QIR_EACH_##n(sums) w += 64;                                                                            \
    }
#define QIR_NEON_ROWS(n, name, type, begin, sums, kind, end)                                \
    QIR_NEON_TILE(name##_##n, n, type, QIR_NEON_ONCE QIR_NEON_SPREADS, QIR_EACH_##n(begin), \
                  QIR_NEON_SEGMENT(n, QIR_NEON_STEP, sums), kind, QIR_NEON_SCALES QIR_EACH_##n(end))

/* Functions name_1, name_2, ..., and their table; `begin` is QIR_NEON_BEGIN, or the one with offsets, `sums(i)`
   QIR_NEON_SUMS, `end(i)` QIR_NEON_STORE of a .. d, or, where `kind` is SUMS, QIR_NEON_STORE_SUM. */
#if defined(__aarch64__)
#define QIR_NEON_TILES(name, type, begin, sums, kind, end)                                                    \
    QIR_NEON_ROWS(1, name, type, begin, sums, kind, end) QIR_NEON_ROWS(2, name, type, begin, sums, kind, end) \
    QIR_NEON_ROWS(3, name, type, begin, sums, kind, end) QIR_NEON_ROWS(4, name, type, begin, sums, kind, end) \
    static qir_panel_tile *const name##_tiles[] = {name##_1, name##_2, name##_3, name##_4};
#else
#define QIR_NEON_TILES(name, type, begin, sums, kind, end)                                                    \
    QIR_NEON_ROWS(1, name, type, begin, sums, kind, end) QIR_NEON_ROWS(2, name, type, begin, sums, kind, end) \
    static qir_panel_tile *const name##_tiles[] = {name##_1, name##_2};
#endif

#endif
