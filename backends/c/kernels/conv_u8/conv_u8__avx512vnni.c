#include "../../runtime/qir_avx512.h"
#include "conv_u8_blocks.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_FOUR qir_avx512_four_u8
#define QIR_PAIR qir_avx512_pair_u8
#define QIR_PART qir_avx512_part_u8
/* template: end */

/* Tiles of one to eight output pixels by one or two panels of sixteen channels: vpdpbusd adds to each 32-bit lane the
   four products of neighbouring codes and weights, exactly. Eight pixels by two panels are sixteen sums, which hide the
   latency of an instruction that starts once or twice a cycle, for ten loads. */
#define QIR_BEGIN1(i) __m512i a##i = first;
#define QIR_BEGIN2(i) __m512i a##i = first, b##i = second;
#define QIR_CODES(i) _mm512_set1_epi32(qir_four_bytes((i < 3 ? x : i < 6 ? x3 : x6) + i % 3 * stride))
#define QIR_STEP1(i) QIR_DOT4(a##i, QIR_CODES(i), w0);
#define QIR_STEP2(i)           \
    codes = QIR_CODES(i);      \
    QIR_DOT4(a##i, codes, w0); \
    QIR_DOT4(b##i, codes, w1);
#define QIR_END1(i, j, k, l)                                                                                \
    QIR_FOUR(a##i, a##j, a##k, a##l, scale, q, to + i * step, to + j * step, to + k * step, to + l * step);
#define QIR_END2(i, j) QIR_PAIR(a##i, b##i, a##j, b##j, scale, scale2, q, to + i * step, to + j * step);

/* Rows are stored by twos or by fours; one that lacks its fellows is stored again. */
#define QIR_PAIRS_1(end) end(0, 0)
#define QIR_PAIRS_2(end) end(0, 1)
#define QIR_PAIRS_3(end) QIR_PAIRS_2(end) end(2, 2)
#define QIR_PAIRS_4(end) QIR_PAIRS_2(end) end(2, 3)
#define QIR_PAIRS_5(end) QIR_PAIRS_4(end) end(4, 4)
#define QIR_PAIRS_6(end) QIR_PAIRS_4(end) end(4, 5)
#define QIR_PAIRS_7(end) QIR_PAIRS_6(end) end(6, 6)
#define QIR_PAIRS_8(end) QIR_PAIRS_6(end) end(6, 7)
#define QIR_FOURS_1(end) end(0, 0, 0, 0)
#define QIR_FOURS_2(end) end(0, 1, 1, 1)
#define QIR_FOURS_3(end) end(0, 1, 2, 2)
#define QIR_FOURS_4(end) end(0, 1, 2, 3)
#define QIR_FOURS_5(end) QIR_FOURS_4(end) end(4, 4, 4, 4)
#define QIR_FOURS_6(end) QIR_FOURS_4(end) end(4, 5, 5, 5)
#define QIR_FOURS_7(end) QIR_FOURS_4(end) end(4, 5, 6, 6)
#define QIR_FOURS_8(end) QIR_FOURS_4(end) end(4, 5, 6, 7)

#define QIR_TILE1(n)                                                                                               \
    QIR_AVX512VNNI QIR_ALONE static void qir_conv_u8s8_T_avx512_##n##x1(const qir_conv_u8_tile *t, ptrdiff_t from, \
                                                                         QIR_Y *y) {                               \
        const ptrdiff_t stride = t->stride;                                                                        \
        const void *const *segment = t->segment;                                                                   \
        const int8_t *w = t->weights;                                                                              \
        const qir_requant16 q = qir_widen_requant16(t->requant);                                                   \
        const __m512 scale = _mm512_loadu_ps(t->multiplier);                                                       \
        const __m512i first = _mm512_loadu_si512(t->bias);                                                         \
        const int32_t whole = t->channels >= 16;                                                                   \
        QIR_Y part[n * 16];                                                                                        \
        QIR_Y *const to = whole ? y : part;                                                                        \
        const ptrdiff_t step = whole ? t->step : 16;                                                               \
        int32_t segments = t->segments;                                                                            \
        QIR_EACH_##n(QIR_BEGIN1) do {                                                                              \
            const uint8_t *x = (const uint8_t *)*segment++ + from, *x3 = x + 3 * stride, *x6 = x3 + 3 * stride;    \
            int32_t steps = t->steps;                                                                              \
            do {                                                                                                   \
                const __m512i w0 = _mm512_loadu_si512(w);                                                          \
                QIR_EACH_##n(QIR_STEP1) x += 4, x3 += 4, x6 += 4, w += 64;                                         \
            } while (--steps);                                                                                     \
            (void)x3, (void)x6;                                                                                    \
        } while (--segments);                                                                                      \
        QIR_FOURS_##n(QIR_END1) if (!whole) {                                                                      \
            QIR_PART(part, 16, n, t->channels, y, t->step);                                                        \
        }                                                                                                          \
    }

#define QIR_TILE2(n)                                                                                               \
    QIR_AVX512VNNI QIR_ALONE static void qir_conv_u8s8_T_avx512_##n##x2(const qir_conv_u8_tile *t, ptrdiff_t from, \
                                                                         QIR_Y *y) {                               \
        const ptrdiff_t stride = t->stride, panel = (ptrdiff_t)t->segments * t->steps * 64;                        \
        const void *const *segment = t->segment;                                                                   \
        const int8_t *w = t->weights;                                                                              \
        const qir_requant16 q = qir_widen_requant16(t->requant);                                                   \
        const __m512 scale = _mm512_loadu_ps(t->multiplier), scale2 = _mm512_loadu_ps(t->multiplier + 16);         \
        const __m512i first = _mm512_loadu_si512(t->bias), second = _mm512_loadu_si512(t->bias + 16);              \
        const int32_t whole = t->channels >= 32;                                                                   \
        QIR_Y part[n * 32];                                                                                        \
        QIR_Y *const to = whole ? y : part;                                                                        \
        const ptrdiff_t step = whole ? t->step : 32;                                                               \
        int32_t segments = t->segments;                                                                            \
        QIR_EACH_##n(QIR_BEGIN2) do {                                                                              \
            const uint8_t *x = (const uint8_t *)*segment++ + from, *x3 = x + 3 * stride, *x6 = x3 + 3 * stride;    \
            int32_t steps = t->steps;                                                                              \
            do {                                                                                                   \
                const __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + panel);                      \
                __m512i codes;                                                                                     \
                QIR_EACH_##n(QIR_STEP2) x += 4, x3 += 4, x6 += 4, w += 64;                                         \
            } while (--steps);                                                                                     \
            (void)x3, (void)x6;                                                                                    \
        } while (--segments);                                                                                      \
        QIR_PAIRS_##n(QIR_END2) if (!whole) {                                                                      \
            QIR_PART(part, 32, n, t->channels, y, t->step);                                                        \
        }                                                                                                          \
    }

QIR_TILE1(1) QIR_TILE1(2) QIR_TILE1(3) QIR_TILE1(4) QIR_TILE1(5) QIR_TILE1(6) QIR_TILE1(7) QIR_TILE1(8)
QIR_TILE2(1) QIR_TILE2(2) QIR_TILE2(3) QIR_TILE2(4) QIR_TILE2(5) QIR_TILE2(6) QIR_TILE2(7) QIR_TILE2(8)
#undef QIR_BEGIN1
#undef QIR_BEGIN2
#undef QIR_CODES
#undef QIR_STEP1
#undef QIR_STEP2
#undef QIR_END1
#undef QIR_END2
#undef QIR_TILE1
#undef QIR_TILE2

/* `rows` pixels of one output row, in tiles of nearly equal height. */
static void qir_conv_u8s8_T_avx512_row(const qir_conv_u8_tile *t, ptrdiff_t from, int32_t rows, QIR_Y *y) {
    int32_t row, count;
    for (row = 0; row < rows; row += count, from += count * t->stride, y += count * t->step) {
        count = qir_piece(rows - row, 8);
        switch (t->channels > 16 ? 8 + count : count) {
            case 1: qir_conv_u8s8_T_avx512_1x1(t, from, y); break;
            case 2: qir_conv_u8s8_T_avx512_2x1(t, from, y); break;
            case 3: qir_conv_u8s8_T_avx512_3x1(t, from, y); break;
            case 4: qir_conv_u8s8_T_avx512_4x1(t, from, y); break;
            case 5: qir_conv_u8s8_T_avx512_5x1(t, from, y); break;
            case 6: qir_conv_u8s8_T_avx512_6x1(t, from, y); break;
            case 7: qir_conv_u8s8_T_avx512_7x1(t, from, y); break;
            case 8: qir_conv_u8s8_T_avx512_8x1(t, from, y); break;
            case 9: qir_conv_u8s8_T_avx512_1x2(t, from, y); break;
            case 10: qir_conv_u8s8_T_avx512_2x2(t, from, y); break;
            case 11: qir_conv_u8s8_T_avx512_3x2(t, from, y); break;
            case 12: qir_conv_u8s8_T_avx512_4x2(t, from, y); break;
            case 13: qir_conv_u8s8_T_avx512_5x2(t, from, y); break;
            case 14: qir_conv_u8s8_T_avx512_6x2(t, from, y); break;
            case 15: qir_conv_u8s8_T_avx512_7x2(t, from, y); break;
            default: qir_conv_u8s8_T_avx512_8x2(t, from, y); break;
        }
    }
}

/* Weights: [group][panel of 16 channels][segment][step][channel][4], zeros where there is no channel or code; bias,
   with -x_zero_point * sum of w, and multiplier: [group][panel][channel]. scratch: see qir_conv_u8_open. */
void qir_conv_u8s8_T__avx512vnni(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b, const uint8_t *QIR_RESTRICT x,
                                 const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                 const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT scratch,
                                 QIR_Y *QIR_RESTRICT y) {
    const int32_t panels = (s->out_channels + 15) / 16;
    const ptrdiff_t panel = (ptrdiff_t)b->segments * b->steps * 64;
    qir_conv_u8_block at = qir_conv_u8_first_block(s, b);
    qir_conv_u8_tile t = qir_conv_u8_any_tile(s, b);
    for (; qir_conv_u8_block_left(s, &at); qir_conv_u8_next_block(s, b, &at)) {
        int32_t group, p, r;
        qir_conv_u8_open(s, b, &at, x, 0, scratch);
        for (group = 0; group < s->groups; ++group) {
            for (p = 0; p < panels; p += 2) {
                const ptrdiff_t place = (ptrdiff_t)group * panels + p;
                t.weights = w + place * panel;
                t.bias = bias + place * 16;
                t.multiplier = multiplier + place * 16;
                t.channels = s->out_channels - p * 16;
                for (r = 0; r < at.rows; ++r) {
                    t.segment = (const void *const *)scratch + (ptrdiff_t)r * b->segments;
                    qir_conv_u8s8_T_avx512_row(&t, (ptrdiff_t)group * s->in_channels, at.columns,
                                        y + qir_conv_u8_pixel(s, &at, r) * t.step +
                                            (ptrdiff_t)group * s->out_channels + p * 16);
                }
            }
        }
    }
}
