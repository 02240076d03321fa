#include "../../runtime/qir_avx2.h"
#include "../../runtime/qir_avx512.h"
#include "conv_u8_blocks.h"

/* What turns four sums into thirty-two codes. */
typedef struct {
    qir_requant8 q;
    __m256 scale0, scale1, scale2, scale3;
    __mmask32 lanes;
} qir_conv_u8s8_depthwise_u8_avx512_end;

QIR_AVX512VNNI static QIR_INLINE qir_conv_u8s8_depthwise_u8_avx512_end
qir_conv_u8s8_depthwise_u8_avx512_start(const qir_conv_u8_tile *t) {
    qir_conv_u8s8_depthwise_u8_avx512_end end;
    end.q = qir_widen_requant8(t->requant);
    end.scale0 = _mm256_loadu_ps(t->multiplier);
    end.scale1 = _mm256_loadu_ps(t->multiplier + 8);
    end.scale2 = _mm256_loadu_ps(t->multiplier + 16);
    end.scale3 = _mm256_loadu_ps(t->multiplier + 24);
    end.lanes = (__mmask32)(t->channels >= 32 ? 0xffffffffu : (1u << t->channels) - 1u);
    return end;
}

QIR_AVX512VNNI static QIR_INLINE void
qir_conv_u8s8_depthwise_u8_avx512_put(const qir_conv_u8s8_depthwise_u8_avx512_end *end, __m256i sum0, __m256i sum1,
                                      __m256i sum2, __m256i sum3, uint8_t *y) {
    const qir_requant8 q = end->q;
    const __m256i low = qir_codes16(qir_steps8(sum0, end->scale0, q), qir_steps8(sum1, end->scale1, q), q);
    const __m256i high = qir_codes16(qir_steps8(sum2, end->scale2, q), qir_steps8(sum3, end->scale3, q), q);
    _mm256_mask_storeu_epi8(y, end->lanes, _mm256_max_epu8(_mm256_packus_epi16(low, high), q.least));
}

/* Thirty-two channels of the pixels of a row. Codes of four taps side by side make vpdpbusd add their four products.
   Interleaving goes by halves of 128 bits, so sum v holds channels 4 v .. 4 v + 3 and 16 + 4 v .. 16 + 4 v + 3, and
   packing the results puts them in order. Vectors of 256 bits waste less on channels that are no multiple of 64. */
QIR_AVX512VNNI static QIR_INLINE void qir_conv_u8s8_depthwise_u8_avx512_row(const int32_t fours,
                                                                            const qir_conv_u8_tile *t, ptrdiff_t from,
                                                                            int32_t columns, uint8_t *QIR_RESTRICT y) {
    const void *const *const taps = t->segment;
    const int32_t last = t->segments - 1;
    const __m256i *const bias = (const __m256i *)(const void *)t->bias;
    const qir_conv_u8s8_depthwise_u8_avx512_end end = qir_conv_u8s8_depthwise_u8_avx512_start(t);
    int32_t column, k;
    for (column = 0; column < columns; ++column, from += t->stride, y += t->step) {
        __m256i sum0 = _mm256_loadu_si256(bias), sum1 = _mm256_loadu_si256(bias + 1);
        __m256i sum2 = _mm256_loadu_si256(bias + 2), sum3 = _mm256_loadu_si256(bias + 3);
        for (k = 0; k < fours; ++k) {
            const __m256i *const w = (const __m256i *)(const void *)t->weights + 4 * k;
#define QIR_TAP(i)      \
    _mm256_loadu_si256( \
        (const __m256i *)(const void *)((const uint8_t *)taps[4 * k + i < last ? 4 * k + i : last] + from))
            const __m256i a = QIR_TAP(0), b = QIR_TAP(1), c = QIR_TAP(2), d = QIR_TAP(3);
#undef QIR_TAP
            const __m256i ab = _mm256_unpacklo_epi8(a, b), cd = _mm256_unpacklo_epi8(c, d);
            const __m256i ab2 = _mm256_unpackhi_epi8(a, b), cd2 = _mm256_unpackhi_epi8(c, d);
            QIR_DOT4_8(sum0, _mm256_unpacklo_epi16(ab, cd), _mm256_loadu_si256(w));
            QIR_DOT4_8(sum1, _mm256_unpackhi_epi16(ab, cd), _mm256_loadu_si256(w + 1));
            QIR_DOT4_8(sum2, _mm256_unpacklo_epi16(ab2, cd2), _mm256_loadu_si256(w + 2));
            QIR_DOT4_8(sum3, _mm256_unpackhi_epi16(ab2, cd2), _mm256_loadu_si256(w + 3));
        }
        qir_conv_u8s8_depthwise_u8_avx512_put(&end, sum0, sum1, sum2, sum3, y);
    }
}

/* Thirty-two channels of a row of windows of three rows and columns, `step` columns apart. The codes of a column's
   three rows, and a zero, are put side by side once and used by every window that holds the column: at step 1 `last`
   lacks the window's third column and `next` its second and third, at step 2 every other column ends one window and
   begins the next. Columns outside the input are `outside`, rows outside it point there and stay.
   Weights: [column][sum][channel][row], zero for the fourth row. */
QIR_AVX512VNNI static QIR_INLINE void qir_conv_u8s8_depthwise_u8_avx512_columns(
    const int32_t step, const qir_conv_u8_tile *t, const qir_conv_u8_three_rows *rows, int32_t columns,
    uint8_t *QIR_RESTRICT y) {
    const uint8_t *top = rows->row[0], *middle = rows->row[1], *bottom = rows->row[2];
    const uint8_t *const outside = rows->outside;
    const ptrdiff_t next_top = rows->next[0], next_middle = rows->next[1], next_bottom = rows->next[2];
    const uint32_t inside = (uint32_t)rows->inside;
    const __m256i *const w = (const __m256i *)(const void *)t->weights;
    const __m256i *const bias = (const __m256i *)(const void *)t->bias;
    const qir_conv_u8s8_depthwise_u8_avx512_end end = qir_conv_u8s8_depthwise_u8_avx512_start(t);
    const __m256i zero = _mm256_setzero_si256();
    __m256i last0 = zero, last1 = zero, last2 = zero, last3 = zero;
    __m256i next0 = zero, next1 = zero, next2 = zero, next3 = zero;
    __m256i column0, column1, column2, column3;
    uint32_t at = (uint32_t)rows->column;
    int32_t column;
#define QIR_NEXT_COLUMN                                                                       \
    {                                                                                         \
        const __m256i a = _mm256_maskz_loadu_epi8(end.lanes, at < inside ? top : outside);    \
        const __m256i b = _mm256_maskz_loadu_epi8(end.lanes, at < inside ? middle : outside); \
        const __m256i c = _mm256_maskz_loadu_epi8(end.lanes, at < inside ? bottom : outside); \
        const __m256i ab = _mm256_unpacklo_epi8(a, b), c0 = _mm256_unpacklo_epi8(c, zero);    \
        const __m256i ab2 = _mm256_unpackhi_epi8(a, b), c02 = _mm256_unpackhi_epi8(c, zero);  \
        column0 = _mm256_unpacklo_epi16(ab, c0);                                              \
        column1 = _mm256_unpackhi_epi16(ab, c0);                                              \
        column2 = _mm256_unpacklo_epi16(ab2, c02);                                            \
        column3 = _mm256_unpackhi_epi16(ab2, c02);                                            \
        top += next_top, middle += next_middle, bottom += next_bottom, ++at;                  \
    }
#define QIR_BEGIN(sum)                                                        \
    sum##0 = _mm256_loadu_si256(bias), sum##1 = _mm256_loadu_si256(bias + 1); \
    sum##2 = _mm256_loadu_si256(bias + 2), sum##3 = _mm256_loadu_si256(bias + 3);
#define QIR_ADD(sum, place)                                             \
    QIR_DOT4_8(sum##0, column0, _mm256_loadu_si256(w + 4 * place));     \
    QIR_DOT4_8(sum##1, column1, _mm256_loadu_si256(w + 4 * place + 1)); \
    QIR_DOT4_8(sum##2, column2, _mm256_loadu_si256(w + 4 * place + 2)); \
    QIR_DOT4_8(sum##3, column3, _mm256_loadu_si256(w + 4 * place + 3));
    QIR_BEGIN(last)
    QIR_NEXT_COLUMN
    QIR_ADD(last, 0)
    if (step == 1) {
        QIR_NEXT_COLUMN
        QIR_ADD(last, 1)
        QIR_BEGIN(next)
        QIR_ADD(next, 0)
    }
    for (column = 0; column < columns; ++column, y += t->step) {
        if (step == 2) {
            QIR_NEXT_COLUMN
            QIR_ADD(last, 1)
        }
        QIR_NEXT_COLUMN
        QIR_ADD(last, 2)
        qir_conv_u8s8_depthwise_u8_avx512_put(&end, last0, last1, last2, last3, y);
        if (step == 1) {
            last0 = next0, last1 = next1, last2 = next2, last3 = next3;
            QIR_ADD(last, 1)
            QIR_BEGIN(next)
            QIR_ADD(next, 0)
        } else {
            QIR_BEGIN(last)
            QIR_ADD(last, 0)
        }
    }
#undef QIR_NEXT_COLUMN
#undef QIR_BEGIN
#undef QIR_ADD
}

QIR_AVX512VNNI QIR_ALONE static void qir_conv_u8s8_depthwise_u8_avx512_by1(const qir_conv_u8_tile *t,
                                                                           const qir_conv_u8_three_rows *rows,
                                                                           int32_t columns, uint8_t *y) {
    qir_conv_u8s8_depthwise_u8_avx512_columns(1, t, rows, columns, y);
}

QIR_AVX512VNNI QIR_ALONE static void qir_conv_u8s8_depthwise_u8_avx512_by2(const qir_conv_u8_tile *t,
                                                                           const qir_conv_u8_three_rows *rows,
                                                                           int32_t columns, uint8_t *y) {
    qir_conv_u8s8_depthwise_u8_avx512_columns(2, t, rows, columns, y);
}

/* Every row of windows of three by three, all channels. */
static void qir_conv_u8s8_depthwise_u8_avx512_lines(const qir_conv_u8_shape *s, qir_conv_u8_tile *t, const uint8_t *x,
                                                    const int8_t *w, const int32_t *bias, const float *multiplier,
                                                    uint8_t *y) {
    const int32_t channels = s->groups, columns = s->window.out[2], rows = s->window.batch * s->window.out[1];
    uint8_t outside[32];
    int32_t row, channel;
    memset(outside, s->x_zero_point, sizeof outside);
    for (row = 0; row < rows; ++row, y += (ptrdiff_t)columns * channels) {
        for (channel = 0; channel < channels; channel += 32) {
            const int32_t from = channel + 32 <= channels || channels < 32 ? channel : channels - 32;
            const qir_conv_u8_three_rows three = qir_conv_u8_rows_under(s, x, row, from, outside);
            t->weights = w + (ptrdiff_t)channel * 12;
            t->bias = bias + channel;
            t->multiplier = multiplier + channel;
            if (s->window.stride[2] == 1) {
                qir_conv_u8s8_depthwise_u8_avx512_by1(t, &three, columns, y + from);
            } else {
                qir_conv_u8s8_depthwise_u8_avx512_by2(t, &three, columns, y + from);
            }
        }
    }
}

QIR_AVX512VNNI QIR_ALONE static void qir_conv_u8s8_depthwise_u8_avx512_any(const qir_conv_u8_tile *t, ptrdiff_t from,
                                                                           int32_t columns, uint8_t *y) {
    qir_conv_u8s8_depthwise_u8_avx512_row((t->segments + 3) / 4, t, from, columns, y);
}

/* One input and one output channel a group, channels by thirty-two; the last ones may lap over those before.
   Weights: [block][four taps][sum][channel][4], where b->by_columns four taps are a column; bias, with
   -x_zero_point * sum of w, and multiplier: [block][sum][8],
   channels of a block in the order of the four sums. scratch: see qir_conv_u8_open. */
void qir_conv_u8s8_depthwise_u8__avx512vnni(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b,
                                            const uint8_t *QIR_RESTRICT x, const int8_t *QIR_RESTRICT w,
                                            const int32_t *QIR_RESTRICT bias, const float *QIR_RESTRICT multiplier,
                                            void *QIR_RESTRICT scratch, uint8_t *QIR_RESTRICT y) {
    const int32_t channels = s->groups, fours = (b->segments + 3) / 4;
    qir_conv_u8_block at = qir_conv_u8_first_block(s, b);
    qir_conv_u8_tile t = qir_conv_u8_any_tile(s, b);
    t.channels = channels;
    if (b->by_columns) {
        qir_conv_u8s8_depthwise_u8_avx512_lines(s, &t, x, w, bias, multiplier, y);
        return;
    }
    for (; qir_conv_u8_block_left(s, &at); qir_conv_u8_next_block(s, b, &at)) {
        int32_t channel, r;
        qir_conv_u8_open(s, b, &at, x, 0, scratch);
        for (r = 0; r < at.rows; ++r) {
            uint8_t *const to = y + qir_conv_u8_pixel(s, &at, r) * channels;
            t.segment = (const void *const *)scratch + (ptrdiff_t)r * b->segments;
            if (b->flat) {
                const int32_t all = at.columns * channels, whole = all / 32 * 32;
                t.weights = w;
                t.bias = bias;
                t.multiplier = multiplier;
                t.stride = t.step = t.channels = 32;
                qir_conv_u8s8_depthwise_u8_avx512_any(&t, 0, whole / 32, to);
                if (whole < all) { /* the last ones lap over those before, or there are too few of them */
                    const int32_t from = all < 32 ? 0 : all - 32;
                    t.channels = all < 32 ? all : 32;
                    qir_conv_u8s8_depthwise_u8_avx512_any(&t, from, 1, to + from);
                }
                continue;
            }
            for (channel = 0; channel < channels; channel += 32) {
                const int32_t from = channel + 32 <= channels || channels < 32 ? channel : channels - 32;
                t.weights = w + (ptrdiff_t)channel * fours * 4;
                t.bias = bias + channel;
                t.multiplier = multiplier + channel;
                qir_conv_u8s8_depthwise_u8_avx512_any(&t, from, at.columns, to + from);
            }
        }
    }
}
