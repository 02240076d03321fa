/* Tiles of one to four rows, two with the 16 registers of 32-bit ARM, by a panel of sixteen channels on NEON; and what
   the tiles for ARM's later instruction sets have in common with them. */
#ifndef QIR_PANELS_NEON_H
#define QIR_PANELS_NEON_H

#include "qir_panels.h"
#include "qir_sum_neon.h"

/* Four vectors w0 .. w3 of weights by one instruction, which wants neighbouring registers. Weights do not change while
   a tile is computed, so the compilers need not know that they are read. */
#if defined(__aarch64__) && defined(__GNUC__)
#define QIR_NEON_FOUR_WEIGHTS            \
    register int8x16_t w0 __asm__("v0"); \
    register int8x16_t w1 __asm__("v1"); \
    register int8x16_t w2 __asm__("v2"); \
    register int8x16_t w3 __asm__("v3"); \
    __asm__("ld1 {%0.16b-%3.16b}, [%4], #64" : "=w"(w0), "=w"(w1), "=w"(w2), "=w"(w3), "+r"(w));
#else
#define QIR_NEON_FOUR_WEIGHTS                                                                              \
    const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16), w2 = vld1q_s8(w + 32), w3 = vld1q_s8(w + 48); \
    w += 64;
#endif

/* Codes of row i by sixteen, and the next ones, by one instruction. */
#if defined(__aarch64__) && defined(__GNUC__)
#define QIR_NEON_TWICE_SIXTEEN(i, type, load)           \
    type codes##i, next##i;                             \
    __asm__("ldp %q0, %q1, [%2], #32"                   \
            : "=w"(codes##i), "=w"(next##i), "+r"(x##i) \
            : "m"(*(const uint8_t(*)[32])(const void *)x##i));
#else
#define QIR_NEON_TWICE_SIXTEEN(i, type, load)                    \
    const type codes##i = load(x##i), next##i = load(x##i + 16); \
    x##i += 32;
#endif

/* A qir_panel_tile of some rows: `once` declares `scale` and `biases`, for all tiles, `begin` sums, `add` adds the
   products of a segment with the weights from w on, `kind` is that of results, OWN or SUMS, `end` stores rows of
   results of a type by `scale` and `q`. */
#define QIR_NEON_TILE(function, rows, type, once, begin, add, kind, end)                                    \
    QIR_IN_ORDER static void function(const qir_panel *panel, const qir_row *row, int32_t tiles, void *y) { \
        const qir_panel p = *panel;                                                                         \
        const qir_requant4 q = qir_widen_requant4(p.requant);                                               \
        const uint32_t fours = (uint32_t)p.steps / 4, rest = (uint32_t)p.steps % 4;                         \
        const int32_t whole = p.channels >= 16;                                                             \
        type part[16 * (rows)], *const last = whole ? (type *)y : part;                                     \
        const qir_row *to = whole ? row : qir_panel_apart;                                                  \
        QIR_NEON_NUMBERS_##kind(rows) once                                                                  \
        for (; tiles; --tiles, row += rows) {                                                               \
            const void *const *segment = p.segment;                                                         \
            const int8_t *w = p.weights;                                                                    \
            const int32_t *bias = biases;                                                                   \
            int32_t segments = p.segments;                                                                  \
            begin do {                                                                                      \
                const uint8_t *const x = (const uint8_t *)*segment++ + p.from;                              \
                uint32_t left;                                                                              \
                add                                                                                         \
            } while (--segments);                                                                           \
            QIR_NEON_BESIDE_##kind(rows) end if (!whole) {                                                  \
                qir_panel_rest(part, row, rows, sizeof(type), p.channels * (ptrdiff_t)sizeof(type), y);     \
            } else {                                                                                        \
                to += rows;                                                                                 \
            }                                                                                               \
        }                                                                                                   \
    }

#define QIR_NEON_ONCE                                                                   \
    const int32_t *const biases = p.bias;                                               \
    const float32x4_t scale[4] = {vld1q_f32(p.multiplier), vld1q_f32(p.multiplier + 4), \
                                  vld1q_f32(p.multiplier + 8), vld1q_f32(p.multiplier + 12)};

/* Stores the sums of row i, four channels each. */
#define QIR_NEON_STORE(i, store16)                          \
    {                                                       \
        const int32x4_t sums[4] = {a##i, b##i, c##i, d##i}; \
        store16(sums, scale, q, last + to[i].to);           \
    }

/* Two kinds of results: their own, and sums with other codes. Those of a tile that do not all lie in `other` are put
   together first. */
#define QIR_NEON_NUMBERS_OWN(rows)
#define QIR_NEON_BESIDE_OWN(rows)
#define QIR_NEON_NUMBERS_SUMS(rows)                                 \
    const qir_neon_sum_numbers numbers = qir_neon_widen_sum(p.sum); \
    const int32_t own_first = p.sum->own_first;                     \
    uint8_t beside[16 * (rows)];                                    \
    const uint8_t *const others = whole ? p.other : beside;
#define QIR_NEON_BESIDE_SUMS(rows)                                                    \
    if (!whole) {                                                                     \
        int32_t place;                                                                \
        for (place = 0; place < (rows); ++place) {                                    \
            memset(beside + 16 * place, 0, 16);                                       \
            memcpy(beside + 16 * place, p.other + row[place].to, (size_t)p.channels); \
        }                                                                             \
    }
#define QIR_NEON_OTHER(i) vld1q_u8(others + to[i].to)
#define QIR_NEON_STORE_SUM(i)                                                                              \
    {                                                                                                      \
        const int32x4_t sums[4] = {a##i, b##i, c##i, d##i};                                                \
        vst1q_u8(last + to[i].to, qir_neon_sum16(sums, scale, &numbers, QIR_NEON_OTHER(i), own_first, q)); \
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
#define QIR_NEON_FOUR(i)                                                                \
    const int8x16_t codes##i = vreinterpretq_s8_s32(vdupq_n_s32(qir_four_bytes(x##i))); \
    QIR_ADVANCE(x##i, 4);

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
                  QIR_NEON_SEGMENT(n, QIR_NEON_STEP, sums), kind, QIR_EACH_##n(end))

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
