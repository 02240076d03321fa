#include "../../runtime/qir_avx2.h"
#include "conv_u8.h"

/* template: begin */
#define QIR_STEP 1
/* template: end */

/* Depthwise windows of three by three taps, QIR_STEP pixels apart, 1 or 2: sixteen channels of two output rows, one
   below the other, go from column to column of their input. The sums of all windows over a column stay in registers, so
   that its codes are loaded once. Codes of two rows lie side by side in 16 bits, for vpmaddwd:

       one pixel apart    rows 0 and 1 times (w0, w1) and rows 2 and 3 times (w2, 0) are the upper window's share,
                          the same times (0, w0) and (w1, w2) the lower one's
       two pixels apart   rows 0 and 1 times (w0, w1) and row 2 times w2, rows 2 and 3 times (w0, w1) and row 4 times w2

   Of sixteen channels a vector has 0..3 and 8..11, the next one the others; packing puts them in order. */
typedef struct {
    const uint8_t *row[5];      /* pixel 0 of the input rows under two output rows */
    ptrdiff_t next[5];          /* bytes from a row's pixel to the next one: 0 where the row lies outside */
    const uint8_t *outside;     /* sixteen zero points */
    int32_t before;             /* columns left of the input */
    int32_t inside;             /* columns of the input */
    int32_t columns;            /* of outputs */
    __m256i zero_point;         /* 16-bit lanes */
    __m256i least;              /* bytes */
    __m256i most;
    __m256i bias[2];
    __m256 scale[2];
    __m256i w[3][QIR_STEP == 1 ? 4 : 2][2]; /* [column of the window][factors as above][vector] */
} qir_conv_u8s8_depthwise_3x3_T_avx2_work;

QIR_AVX2 static QIR_INLINE __m256i qir_conv_u8s8_depthwise_3x3_T_avx2_words(const uint8_t *from) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

QIR_AVX2 static QIR_INLINE void qir_conv_u8s8_depthwise_3x3_T_avx2_join(__m256i first, __m256i second, __m256i *to) {
    to[0] = _mm256_unpacklo_epi16(first, second);
    to[1] = _mm256_unpackhi_epi16(first, second);
}

/* What sixteen channels are multiplied by, and what is added. */
QIR_AVX2 static void qir_conv_u8s8_depthwise_3x3_T_avx2_open(qir_conv_u8s8_depthwise_3x3_T_avx2_work *t,
                                                             const int8_t *w, ptrdiff_t channels, const int32_t *bias,
                                                             const float *multiplier) {
    const __m256i zero = _mm256_setzero_si256(), low = qir_avx2_vector(bias), high = qir_avx2_vector(bias + 8);
    const __m256 first = _mm256_loadu_ps(multiplier), second = _mm256_loadu_ps(multiplier + 8);
    int32_t column;
    t->bias[0] = _mm256_permute2x128_si256(low, high, 0x20);
    t->bias[1] = _mm256_permute2x128_si256(low, high, 0x31);
    t->scale[0] = _mm256_permute2f128_ps(first, second, 0x20);
    t->scale[1] = _mm256_permute2f128_ps(first, second, 0x31);
    for (column = 0; column < 3; ++column, w += channels) {
        const __m256i w0 = qir_avx2_widened(w), w1 = qir_avx2_widened(w + 3 * channels);
        const __m256i w2 = qir_avx2_widened(w + 6 * channels);
        qir_conv_u8s8_depthwise_3x3_T_avx2_join(w0, w1, t->w[column][0]);
        qir_conv_u8s8_depthwise_3x3_T_avx2_join(w2, zero, t->w[column][1]);
#if QIR_STEP == 1
        qir_conv_u8s8_depthwise_3x3_T_avx2_join(zero, w0, t->w[column][2]);
        qir_conv_u8s8_depthwise_3x3_T_avx2_join(w1, w2, t->w[column][3]);
#endif
    }
}

/* Rounded products, halves to even; the binder knows that they fit int32. */
QIR_AVX2 static QIR_INLINE __m256i qir_conv_u8s8_depthwise_3x3_T_avx2_steps(
    const qir_conv_u8s8_depthwise_3x3_T_avx2_work *t, __m256i low, __m256i high) {
    return _mm256_packs_epi32(_mm256_cvtps_epi32(qir_avx2_scaled(low, t->scale[0])),
                              _mm256_cvtps_epi32(qir_avx2_scaled(high, t->scale[1])));
}

QIR_AVX2 static QIR_INLINE void qir_conv_u8s8_depthwise_3x3_T_avx2_store(
    const qir_conv_u8s8_depthwise_3x3_T_avx2_work *t, __m256i upper, __m256i lower, uint8_t *y, ptrdiff_t down) {
    const __m256i bytes = _mm256_packus_epi16(_mm256_adds_epi16(upper, t->zero_point),
                                              _mm256_adds_epi16(lower, t->zero_point));
    const __m256i codes = _mm256_permute4x64_epi64(_mm256_min_epu8(_mm256_max_epu8(bytes, t->least), t->most),
                                                   _MM_SHUFFLE(3, 1, 2, 0));
    _mm_storeu_si128((__m128i *)(void *)(y + down), _mm256_extracti128_si256(codes, 1));
    _mm_storeu_si128((__m128i *)(void *)y, _mm256_castsi256_si128(codes));
}

#if QIR_STEP == 1
#define QIR_EACH_ROW(each) each(0) each(1) each(2) each(3)
#else
#define QIR_EACH_ROW(each) each(0) each(1) each(2) each(3) each(4)
#endif
/* Once for each column: where the input begins or ends the rows' codes are others from there on. */
#define QIR_COLUMN                                     \
    if (--left < 0) {                                  \
        const int begins = !begun;                     \
        begun = 1;                                     \
        left = begins ? t->inside - 1 : INT32_MAX;     \
        QIR_EACH_ROW(QIR_ENTER)                        \
    }
#define QIR_ENTER(i)                            \
    p##i = begins ? t->row[i] : t->outside;     \
    n##i = begins ? t->next[i] : 0;
#define QIR_POINT(i)                  \
    const uint8_t *p##i = t->outside; \
    ptrdiff_t n##i = 0;
#define QIR_JOIN(i, j)                                                                               \
    {                                                                                                \
        const __m256i first = qir_conv_u8s8_depthwise_3x3_T_avx2_words(p##i);                        \
        const __m256i second = qir_conv_u8s8_depthwise_3x3_T_avx2_words(p##j);                       \
        p##i += n##i;                                                                                \
        p##j += n##j;                                                                                \
        x0 = _mm256_unpacklo_epi16(first, second);                                                   \
        x1 = _mm256_unpackhi_epi16(first, second);                                                   \
    }
#define QIR_LAST                                                                                     \
    {                                                                                                \
        const __m256i first = qir_conv_u8s8_depthwise_3x3_T_avx2_words(p4);                          \
        p4 += n4;                                                                                    \
        x0 = _mm256_unpacklo_epi16(first, first);                                                    \
        x1 = _mm256_unpackhi_epi16(first, first);                                                    \
    }
#define QIR_SUMS(sum) __m256i sum##0, sum##1, sum##2, sum##3;
#define QIR_BEGIN(sum)                        \
    sum##0 = sum##2 = t->bias[0];             \
    sum##1 = sum##3 = t->bias[1];
#define QIR_MOVE(to, from) to##0 = from##0, to##1 = from##1, to##2 = from##2, to##3 = from##3;
/* gcc would keep weights and products aside until no register is left: it is told the order, as in QIR_DOT2_TWICE, and
   where weights are. */
#if defined(__GNUC__) && !defined(__clang__)
#define QIR_ADD(sum0, sum1, w)                                              \
    {                                                                       \
        __m256i products0, products1;                                       \
        __asm__("vpmaddwd %6, %4, %2\n\tvpmaddwd %7, %5, %3\n\t"            \
                "vpaddd %2, %0, %0\n\tvpaddd %3, %1, %1"                    \
                : "+x"(sum0), "+x"(sum1), "=&x"(products0), "=&x"(products1) \
                : "x"(x0), "x"(x1), "m"((w)[0]), "m"((w)[1]));              \
    }
#else
#define QIR_ADD(sum0, sum1, w)                                              \
    sum0 = _mm256_add_epi32(sum0, _mm256_madd_epi16(x0, (w)[0]));           \
    sum1 = _mm256_add_epi32(sum1, _mm256_madd_epi16(x1, (w)[1]));
#endif
#define QIR_UPPER(sum, column, factor) QIR_ADD(sum##0, sum##1, t->w[column][factor])
#define QIR_LOWER(sum, column, factor) QIR_ADD(sum##2, sum##3, t->w[column][factor])
#define QIR_STORE(sum)                                                                                        \
    qir_conv_u8s8_depthwise_3x3_T_avx2_store(t, qir_conv_u8s8_depthwise_3x3_T_avx2_steps(t, sum##0, sum##1),  \
                                             qir_conv_u8s8_depthwise_3x3_T_avx2_steps(t, sum##2, sum##3), y, down);

QIR_AVX2 QIR_ALONE static void qir_conv_u8s8_depthwise_3x3_T_avx2_pair(const qir_conv_u8s8_depthwise_3x3_T_avx2_work *t,
                                                                       ptrdiff_t channels, uint8_t *y, ptrdiff_t down) {
    int32_t columns = t->columns, left = t->before;
    int begun = 0;
    QIR_SUMS(a) QIR_SUMS(b)
    __m256i x0, x1;
    QIR_EACH_ROW(QIR_POINT)
#if QIR_STEP == 1
    QIR_SUMS(c)
    QIR_BEGIN(b)
    QIR_COLUMN
    QIR_JOIN(0, 1) QIR_UPPER(b, 0, 0) QIR_LOWER(b, 0, 2)
    QIR_JOIN(2, 3) QIR_UPPER(b, 0, 1) QIR_LOWER(b, 0, 3)
    QIR_BEGIN(c)
    QIR_COLUMN
    QIR_JOIN(0, 1) QIR_UPPER(b, 1, 0) QIR_LOWER(b, 1, 2) QIR_UPPER(c, 0, 0) QIR_LOWER(c, 0, 2)
    QIR_JOIN(2, 3) QIR_UPPER(b, 1, 1) QIR_LOWER(b, 1, 3) QIR_UPPER(c, 0, 1) QIR_LOWER(c, 0, 3)
    do {
        QIR_MOVE(a, b)
        QIR_MOVE(b, c)
        QIR_BEGIN(c)
        QIR_COLUMN
        QIR_JOIN(0, 1)
        QIR_UPPER(a, 2, 0) QIR_LOWER(a, 2, 2) QIR_UPPER(b, 1, 0) QIR_LOWER(b, 1, 2)
        QIR_UPPER(c, 0, 0) QIR_LOWER(c, 0, 2)
        QIR_JOIN(2, 3)
        QIR_UPPER(a, 2, 1) QIR_LOWER(a, 2, 3) QIR_UPPER(b, 1, 1) QIR_LOWER(b, 1, 3)
        QIR_UPPER(c, 0, 1) QIR_LOWER(c, 0, 3)
        QIR_STORE(a)
        y += channels;
    } while (--columns);
#else
    QIR_BEGIN(b)
    QIR_COLUMN
    QIR_JOIN(0, 1) QIR_UPPER(b, 0, 0)
    QIR_JOIN(2, 3) QIR_UPPER(b, 0, 1) QIR_LOWER(b, 0, 0)
    QIR_LAST QIR_LOWER(b, 0, 1)
    do {
        QIR_MOVE(a, b)
        QIR_COLUMN
        QIR_JOIN(0, 1) QIR_UPPER(a, 1, 0)
        QIR_JOIN(2, 3) QIR_UPPER(a, 1, 1) QIR_LOWER(a, 1, 0)
        QIR_LAST QIR_LOWER(a, 1, 1)
        QIR_BEGIN(b)
        QIR_COLUMN
        QIR_JOIN(0, 1) QIR_UPPER(a, 2, 0) QIR_UPPER(b, 0, 0)
        QIR_JOIN(2, 3) QIR_UPPER(a, 2, 1) QIR_LOWER(a, 2, 0) QIR_UPPER(b, 0, 1) QIR_LOWER(b, 0, 0)
        QIR_LAST QIR_LOWER(a, 2, 1) QIR_LOWER(b, 0, 1)
        QIR_STORE(a)
        y += channels;
    } while (--columns);
#endif
}
#undef QIR_EACH_ROW
#undef QIR_COLUMN
#undef QIR_ENTER
#undef QIR_POINT
#undef QIR_JOIN
#undef QIR_LAST
#undef QIR_SUMS
#undef QIR_BEGIN
#undef QIR_MOVE
#undef QIR_ADD
#undef QIR_UPPER
#undef QIR_LOWER
#undef QIR_STORE

/* At least sixteen channels, the last of which may lap over those before, as a last row may over the one above it.
   Weights: [tap][channel]; bias, with -x_zero_point * sum of w, and multiplier: [channel]. Of small images more rows go
   by before the next channels' turn: as many as stay near the processor. */
QIR_AVX2
void qir_conv_u8s8_depthwise_3x3_T__avx2(const qir_conv_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                                         const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                         const float *QIR_RESTRICT multiplier, uint8_t *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const ptrdiff_t channels = s->groups, down = win->out[1] > 1 ? win->out[2] * channels : 0;
    const int32_t band = 2 * (1 + 128 / win->out[2]);
    uint8_t outside[16], *to;
    qir_conv_u8s8_depthwise_3x3_T_avx2_work t;
    int32_t sample, first, at, i, channel;
    memset(outside, s->x_zero_point, sizeof outside);
    t.outside = outside;
    t.before = win->pad[2];
    t.inside = win->in[2];
    t.columns = win->out[2];
    t.zero_point = _mm256_set1_epi16((int16_t)s->requant.zero_point);
    t.least = _mm256_set1_epi8((char)(s->requant.low + s->requant.zero_point));
    t.most = _mm256_set1_epi8((char)(s->requant.high + s->requant.zero_point));
    for (sample = 0; sample < win->batch; ++sample) {
        for (first = 0; first < win->out[1]; first += band) {
            const int32_t end = first + band < win->out[1] ? first + band : win->out[1];
            for (channel = 0; channel < s->groups; channel += 16) {
                const ptrdiff_t from = channel + 16 <= channels ? channel : channels - 16;
                qir_conv_u8s8_depthwise_3x3_T_avx2_open(&t, w + from, channels, bias + from, multiplier + from);
                for (at = first; at < end; at += 2) {
                    const int32_t row = down && at + 1 == win->out[1] ? at - 1 : at;
                    for (i = 0; i < QIR_STEP + 3; ++i) {
                        const int32_t line = row * QIR_STEP - win->pad[1] + i;
                        const int32_t inside = (uint32_t)line < (uint32_t)win->in[1];
                        const ptrdiff_t place = ((ptrdiff_t)sample * win->in[1] + line) * win->in[2] * channels + from;
                        t.row[i] = inside ? x + place : outside;
                        t.next[i] = inside ? channels : 0;
                    }
                    to = y + ((ptrdiff_t)sample * win->out[1] + row) * win->out[2] * channels + from;
                    qir_conv_u8s8_depthwise_3x3_T_avx2_pair(&t, channels, to, down);
                }
            }
        }
    }
}
