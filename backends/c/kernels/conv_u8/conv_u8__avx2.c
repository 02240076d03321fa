#include "../../runtime/qir_avx2.h"
#include "conv_u8_blocks.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_avx2_store16_u8
#define QIR_PART16 qir_part16_u8
/* template: end */

/* Tiles of one to six output pixels by a panel of sixteen channels: vpmaddwd multiplies codes less their zero point
   with weights, both of 16 bits, and adds two neighbouring products, at most 2 * 255 * 128, in 32 bits: exactly, where
   the products of bytes that AVX2 has would saturate. Twelve sums, two vectors of weights and one of codes leave one
   of the sixteen registers for the products. */
#define QIR_BEGIN(i) __m256i a##i = first, b##i = second;
#define QIR_STEP(i)                                                               \
    codes = _mm256_set1_epi32(qir_four_bytes((i < 3 ? x : x3) + i % 3 * stride)); \
    QIR_DOT2(a##i, codes, w0);                                                    \
    QIR_DOT2(b##i, codes, w1);
#define QIR_END(i) QIR_STORE16(a##i, b##i, scale, scale2, q, last + i * last_step);

#define QIR_TILE(n)                                                                                                \
    QIR_AVX2 QIR_ALONE static void qir_conv_u8s8_T_avx2_##n(const qir_conv_u8_tile *t, ptrdiff_t from, QIR_Y *y) { \
        const ptrdiff_t stride = t->stride;                                                                        \
        const void *const *segment = t->segment;                                                                   \
        const int8_t *w = t->weights;                                                                              \
        const __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)t->bias);                          \
        const __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)(t->bias + 8));                   \
        const int32_t whole = t->channels >= 16;                                                                   \
        QIR_Y part[n * 16];                                                                                        \
        QIR_Y *const last = whole ? y : part;                                                                      \
        const ptrdiff_t last_step = whole ? t->step : 16;                                                          \
        int32_t segments = t->segments;                                                                            \
        qir_requant8 q;                                                                                            \
        __m256 scale, scale2;                                                                                      \
        QIR_EACH_##n(QIR_BEGIN) do {                                                                               \
            const int16_t *x = (const int16_t *)*segment++ + from, *x3 = x + 3 * stride;                           \
            int32_t steps = t->steps;                                                                              \
            do {                                                                                                   \
                const __m256i w0 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)w));        \
                const __m256i w1 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(w + 16))); \
                __m256i codes;                                                                                     \
                QIR_EACH_##n(QIR_STEP) x += 2, x3 += 2, w += 32;                                                   \
            } while (--steps);                                                                                     \
            (void)x3;                                                                                              \
        } while (--segments);                                                                                      \
        q = qir_widen_requant8(t->requant);                                                                        \
        scale = _mm256_loadu_ps(t->multiplier);                                                                    \
        scale2 = _mm256_loadu_ps(t->multiplier + 8);                                                               \
        QIR_EACH_##n(QIR_END) if (!whole) {                                                                        \
            QIR_PART16(part, n, t->channels, y, t->step);                                                          \
        }                                                                                                          \
    }
QIR_TILE(1) QIR_TILE(2) QIR_TILE(3) QIR_TILE(4) QIR_TILE(5) QIR_TILE(6)
#undef QIR_BEGIN
#undef QIR_STEP
#undef QIR_END
#undef QIR_TILE

/* `rows` pixels of one output row, in tiles of nearly equal height. */
static void qir_conv_u8s8_T_avx2_row(const qir_conv_u8_tile *t, ptrdiff_t from, int32_t rows, QIR_Y *y) {
    int32_t row, count;
    for (row = 0; row < rows; row += count, from += count * t->stride, y += count * t->step) {
        count = qir_piece(rows - row, 6);
        switch (count) {
            case 1: qir_conv_u8s8_T_avx2_1(t, from, y); break;
            case 2: qir_conv_u8s8_T_avx2_2(t, from, y); break;
            case 3: qir_conv_u8s8_T_avx2_3(t, from, y); break;
            case 4: qir_conv_u8s8_T_avx2_4(t, from, y); break;
            case 5: qir_conv_u8s8_T_avx2_5(t, from, y); break;
            default: qir_conv_u8s8_T_avx2_6(t, from, y); break;
        }
    }
}

/* Weights: [group][panel of 16 channels][segment][step][channel][2], zeros where there is no channel or code; bias
   and multiplier: [group][panel][channel]. scratch: see qir_conv_u8_open. */
void qir_conv_u8s8_T__avx2(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b, const uint8_t *QIR_RESTRICT x,
                                 const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                 const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT scratch,
                                 QIR_Y *QIR_RESTRICT y) {
    const int32_t panels = (s->out_channels + 15) / 16;
    const ptrdiff_t panel = (ptrdiff_t)b->segments * b->steps * 32;
    qir_conv_u8_block at = qir_conv_u8_first_block(s, b);
    qir_conv_u8_tile t = qir_conv_u8_any_tile(s, b);
    for (; qir_conv_u8_block_left(s, &at); qir_conv_u8_next_block(s, b, &at)) {
        int32_t group, p, r;
        qir_conv_u8_open(s, b, &at, x, 1, scratch);
        for (group = 0; group < s->groups; ++group) {
            for (p = 0; p < panels; ++p) {
                const ptrdiff_t place = (ptrdiff_t)group * panels + p;
                t.weights = w + place * panel;
                t.bias = bias + place * 16;
                t.multiplier = multiplier + place * 16;
                t.channels = s->out_channels - p * 16;
                for (r = 0; r < at.rows; ++r) {
                    t.segment = (const void *const *)scratch + (ptrdiff_t)r * b->segments;
                    qir_conv_u8s8_T_avx2_row(&t, (ptrdiff_t)group * s->in_channels, at.columns,
                                        y + qir_conv_u8_pixel(s, &at, r) * t.step +
                                            (ptrdiff_t)group * s->out_channels + p * 16);
                }
            }
        }
    }
}
