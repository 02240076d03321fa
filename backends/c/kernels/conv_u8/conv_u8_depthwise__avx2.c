#include "../../runtime/qir_avx2.h"
#include "conv_u8_blocks.h"

/* What turns two sums into sixteen codes. */
typedef struct {
    qir_requant8 q;
    __m256 scale0, scale1;
    int32_t channels;
} qir_conv_u8s8_depthwise_u8_avx2_end;

QIR_AVX2 static QIR_INLINE qir_conv_u8s8_depthwise_u8_avx2_end
qir_conv_u8s8_depthwise_u8_avx2_start(const qir_conv_u8_tile *t) {
    qir_conv_u8s8_depthwise_u8_avx2_end end;
    end.q = qir_widen_requant8(t->requant);
    end.scale0 = _mm256_loadu_ps(t->multiplier);
    end.scale1 = _mm256_loadu_ps(t->multiplier + 8);
    end.channels = t->channels;
    return end;
}

/* The sums hold channels 0..3 and 8..11, and 4..7 and 12..15, which packing puts in order. */
QIR_AVX2 static QIR_INLINE void
qir_conv_u8s8_depthwise_u8_avx2_put(const qir_conv_u8s8_depthwise_u8_avx2_end *end, __m256i sum0, __m256i sum1,
                                    uint8_t *y) {
    const qir_requant8 q = end->q;
    const __m256i both = qir_codes16(qir_steps8(sum0, end->scale0, q), qir_steps8(sum1, end->scale1, q), q);
    __m128i codes = _mm_packus_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    codes = _mm_max_epu8(codes, _mm256_castsi256_si128(q.least));
    if (end->channels >= 16) {
        _mm_storeu_si128((__m128i *)(void *)y, codes);
    } else {
        uint8_t part[16];
        _mm_storeu_si128((__m128i *)(void *)part, codes);
        qir_part16_u8(part, 1, end->channels, y, 0);
    }
}

/* Sixteen neighbouring codes as 16 bits. */
QIR_AVX2 static QIR_INLINE __m256i qir_conv_u8s8_depthwise_u8_avx2_load(const uint8_t *from) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

/* Sixteen channels of the pixels of a row. Codes of two taps side by side, as 16 bits, make vpmaddwd add their two
   products. Interleaving goes by halves of 128 bits. */
QIR_AVX2 QIR_ALONE static void qir_conv_u8s8_depthwise_u8_avx2_any(const qir_conv_u8_tile *t, const int16_t *w,
                                                                   ptrdiff_t from, int32_t columns,
                                                                   uint8_t *QIR_RESTRICT y) {
    const void *const *const taps = t->segment;
    const int32_t pairs = (t->segments + 1) / 2, last = t->segments - 1;
    const qir_conv_u8s8_depthwise_u8_avx2_end end = qir_conv_u8s8_depthwise_u8_avx2_start(t);
    int32_t column, k;
    for (column = 0; column < columns; ++column, from += t->stride, y += t->step) {
        __m256i sum0 = _mm256_loadu_si256((const __m256i *)(const void *)t->bias);
        __m256i sum1 = _mm256_loadu_si256((const __m256i *)(const void *)(t->bias + 8));
        for (k = 0; k < pairs; ++k) {
            const int32_t second = 2 * k < last ? 2 * k + 1 : last;
            const __m256i a = qir_conv_u8s8_depthwise_u8_avx2_load((const uint8_t *)taps[2 * k] + from);
            const __m256i b = qir_conv_u8s8_depthwise_u8_avx2_load((const uint8_t *)taps[second] + from);
            const __m256i *const weights = (const __m256i *)(const void *)(w + 32 * k);
            QIR_DOT2(sum0, _mm256_unpacklo_epi16(a, b), _mm256_loadu_si256(weights));
            QIR_DOT2(sum1, _mm256_unpackhi_epi16(a, b), _mm256_loadu_si256(weights + 1));
        }
        qir_conv_u8s8_depthwise_u8_avx2_put(&end, sum0, sum1, y);
    }
}

/* Sixteen channels of a row of windows of three rows and columns, `step` columns apart. The codes of a column's first
   two rows, and of its third with a zero, are put side by side once and used by every window that holds the column: at
   step 1 `last` lacks the window's third column and `next` its second and third, at step 2 every other column ends one
   window and begins the next. Weights: [column][two rows][sum][channel][2]. */
QIR_AVX2 static QIR_INLINE void qir_conv_u8s8_depthwise_u8_avx2_columns(const int32_t step, const qir_conv_u8_tile *t,
                                                                        const int16_t *weights,
                                                                        const qir_conv_u8_three_rows *rows,
                                                                        int32_t columns, uint8_t *QIR_RESTRICT y) {
    const uint8_t *top = rows->row[0], *middle = rows->row[1], *bottom = rows->row[2];
    const uint8_t *const outside = rows->outside;
    const ptrdiff_t next_top = rows->next[0], next_middle = rows->next[1], next_bottom = rows->next[2];
    const uint32_t inside = (uint32_t)rows->inside;
    const __m256i *const w = (const __m256i *)(const void *)weights;
    const __m256i *const bias = (const __m256i *)(const void *)t->bias;
    const qir_conv_u8s8_depthwise_u8_avx2_end end = qir_conv_u8s8_depthwise_u8_avx2_start(t);
    const __m256i zero = _mm256_setzero_si256();
    __m256i last0 = zero, last1 = zero, next0 = zero, next1 = zero, pair0, pair1, third0, third1;
    uint32_t at = (uint32_t)rows->column;
    int32_t column;
#define QIR_NEXT_COLUMN                                                                         \
    {                                                                                           \
        const __m256i a = qir_conv_u8s8_depthwise_u8_avx2_load(at < inside ? top : outside);    \
        const __m256i b = qir_conv_u8s8_depthwise_u8_avx2_load(at < inside ? middle : outside); \
        const __m256i c = qir_conv_u8s8_depthwise_u8_avx2_load(at < inside ? bottom : outside); \
        pair0 = _mm256_unpacklo_epi16(a, b);                                                    \
        pair1 = _mm256_unpackhi_epi16(a, b);                                                    \
        third0 = _mm256_unpacklo_epi16(c, zero);                                                \
        third1 = _mm256_unpackhi_epi16(c, zero);                                                \
        top += next_top, middle += next_middle, bottom += next_bottom, ++at;                    \
    }
#define QIR_BEGIN(sum) sum##0 = _mm256_loadu_si256(bias), sum##1 = _mm256_loadu_si256(bias + 1);
#define QIR_ADD(sum, place)                                          \
    sum##0 = _mm256_add_epi32(sum##0, _mm256_madd_epi16(pair0, _mm256_loadu_si256(w + 4 * place)));      \
    sum##1 = _mm256_add_epi32(sum##1, _mm256_madd_epi16(pair1, _mm256_loadu_si256(w + 4 * place + 1)));  \
    sum##0 = _mm256_add_epi32(sum##0, _mm256_madd_epi16(third0, _mm256_loadu_si256(w + 4 * place + 2))); \
    sum##1 = _mm256_add_epi32(sum##1, _mm256_madd_epi16(third1, _mm256_loadu_si256(w + 4 * place + 3)));
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
        qir_conv_u8s8_depthwise_u8_avx2_put(&end, last0, last1, y);
        if (step == 1) {
            last0 = next0, last1 = next1;
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

QIR_AVX2 QIR_ALONE static void qir_conv_u8s8_depthwise_u8_avx2_by1(const qir_conv_u8_tile *t, const int16_t *w,
                                                                   const qir_conv_u8_three_rows *rows, int32_t columns,
                                                                   uint8_t *y) {
    qir_conv_u8s8_depthwise_u8_avx2_columns(1, t, w, rows, columns, y);
}

QIR_AVX2 QIR_ALONE static void qir_conv_u8s8_depthwise_u8_avx2_by2(const qir_conv_u8_tile *t, const int16_t *w,
                                                                   const qir_conv_u8_three_rows *rows, int32_t columns,
                                                                   uint8_t *y) {
    qir_conv_u8s8_depthwise_u8_avx2_columns(2, t, w, rows, columns, y);
}

/* Every row of windows of three by three, all channels. */
static void qir_conv_u8s8_depthwise_u8_avx2_lines(const qir_conv_u8_shape *s, qir_conv_u8_tile *t, const uint8_t *x,
                                                  const int16_t *w, const int32_t *bias, const float *multiplier,
                                                  uint8_t *y) {
    const int32_t channels = s->groups, columns = s->window.out[2], rows = s->window.batch * s->window.out[1];
    uint8_t outside[16];
    int32_t row, channel;
    memset(outside, s->x_zero_point, sizeof outside);
    for (row = 0; row < rows; ++row, y += (ptrdiff_t)columns * channels) {
        for (channel = 0; channel < channels; channel += 16) {
            const int32_t from = channel + 16 <= channels ? channel : channels - 16;
            const qir_conv_u8_three_rows three = qir_conv_u8_rows_under(s, x, row, from, outside);
            t->bias = bias + channel;
            t->multiplier = multiplier + channel;
            if (s->window.stride[2] == 1) {
                qir_conv_u8s8_depthwise_u8_avx2_by1(t, w + (ptrdiff_t)channel * 12, &three, columns, y + from);
            } else {
                qir_conv_u8s8_depthwise_u8_avx2_by2(t, w + (ptrdiff_t)channel * 12, &three, columns, y + from);
            }
        }
    }
}

/* One input and one output channel a group, channels by sixteen; the last sixteen may lap over those before.
   Weights: [block][pair of taps][sum][channel][2], where b->by_columns two pairs are a column; bias, with
   -x_zero_point * sum of w, and multiplier: [block][sum][8],
   channels of a block in the order of the two sums. scratch: see qir_conv_u8_open. */
void qir_conv_u8s8_depthwise_u8__avx2(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b,
                                      const uint8_t *QIR_RESTRICT x, const int16_t *QIR_RESTRICT w,
                                      const int32_t *QIR_RESTRICT bias, const float *QIR_RESTRICT multiplier,
                                      void *QIR_RESTRICT scratch, uint8_t *QIR_RESTRICT y) {
    const int32_t channels = s->groups, pairs = (b->segments + 1) / 2;
    qir_conv_u8_block at = qir_conv_u8_first_block(s, b);
    qir_conv_u8_tile t = qir_conv_u8_any_tile(s, b);
    t.channels = channels;
    if (b->by_columns) {
        qir_conv_u8s8_depthwise_u8_avx2_lines(s, &t, x, w, bias, multiplier, y);
        return;
    }
    for (; qir_conv_u8_block_left(s, &at); qir_conv_u8_next_block(s, b, &at)) {
        int32_t channel, r;
        qir_conv_u8_open(s, b, &at, x, 0, scratch);
        for (r = 0; r < at.rows; ++r) {
            uint8_t *const to = y + qir_conv_u8_pixel(s, &at, r) * channels;
            t.segment = (const void *const *)scratch + (ptrdiff_t)r * b->segments;
            if (b->flat) {
                const int32_t all = at.columns * channels, whole = all / 16 * 16;
                t.bias = bias;
                t.multiplier = multiplier;
                t.stride = t.step = t.channels = 16;
                qir_conv_u8s8_depthwise_u8_avx2_any(&t, w, 0, whole / 16, to);
                if (whole < all) { /* the last ones lap over those before, or there are too few of them */
                    const int32_t from = all < 16 ? 0 : all - 16;
                    t.channels = all < 16 ? all : 16;
                    qir_conv_u8s8_depthwise_u8_avx2_any(&t, w, from, 1, to + from);
                }
                continue;
            }
            for (channel = 0; channel < channels; channel += 16) {
                const int32_t from = channel + 16 <= channels || channels < 16 ? channel : channels - 16;
                const int16_t *const weights = w + (ptrdiff_t)channel * pairs * 2;
                t.bias = bias + channel;
                t.multiplier = multiplier + channel;
                qir_conv_u8s8_depthwise_u8_avx2_any(&t, weights, from, at.columns, to + from);
            }
        }
    }
}
