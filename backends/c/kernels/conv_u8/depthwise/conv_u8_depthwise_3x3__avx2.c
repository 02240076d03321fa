#include "../../../runtime/qir_avx2.h"
#include "../conv_u8.h"

/* template: begin */
#define QIR_STEP 1
/* template: end */

/* Depthwise windows of three by three taps, QIR_STEP pixels apart, 1 or 2: sixteen channels of two output rows, one
   below the other, go from column to column of their input, by two. The sums of all windows over a column stay in
   registers, so that its codes are loaded once. Two codes lie side by side in 16 bits, for vpmaddwd: those of two rows,
   or of two columns of one row, so that nine taps are five products:

       one pixel apart    rows 1 and 2 of a column times (w1, w2) and row 0 of two columns times weights of row 0 are
                          the upper window's share, the former times (w0, w1) and row 3 times weights of row 2 the lower
       two pixels apart   rows 0 and 1 times (w0, w1) and row 2 times weights of row 2 are the upper window's, rows 3 and
                          4 times (w1, w2) and row 2 times weights of row 0 the lower one's

   Two columns of one row are times (w0, w1) for the window that begins with them, times (w2, 0) for the one that ends
   with the first, and, one pixel apart, times (0, w0) and (w1, w2) for the one that begins and the one that ends with the
   second.
   Of sixteen channels a vector has 0..3 and 8..11, the next one the others; packing puts them in order. */
typedef struct {
    const uint8_t *row[5];      /* first pixel of the input rows under two output rows, or sixteen zero points */
    ptrdiff_t next[5];          /* bytes from a row's pixel to the next one: 0 where the row lies outside */
    int32_t columns;            /* behind the first one */
} qir_conv_u8s8_depthwise_3x3_T_avx2_piece;

typedef struct {
    qir_conv_u8s8_depthwise_3x3_T_avx2_piece pieces[3]; /* columns left of the input, its own, and those after it */
    int32_t columns;            /* of outputs */
    int32_t every;              /* code is a result, and 0 the zero point */
    __m256i zero_point;         /* 16-bit lanes */
    __m256i least;              /* bytes */
    __m256i most;
    __m256i bias[2];
    __m256 scale[2];
    __m256i down[3][2][2];      /* of two rows: [column of the window][upper, lower][vector] */
    __m256i along[QIR_STEP == 1 ? 4 : 2][2][2]; /* of one: [window that begins there, ends there, begins, ends between] */
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
    int32_t i;
    t->bias[0] = _mm256_permute2x128_si256(low, high, 0x20);
    t->bias[1] = _mm256_permute2x128_si256(low, high, 0x31);
    t->scale[0] = _mm256_permute2f128_ps(first, second, 0x20);
    t->scale[1] = _mm256_permute2f128_ps(first, second, 0x31);
    for (i = 0; i < 3; ++i) {
        const __m256i w0 = qir_avx2_widened(w + i * channels), w1 = qir_avx2_widened(w + (3 + i) * channels);
        const __m256i w2 = qir_avx2_widened(w + (6 + i) * channels);
        qir_conv_u8s8_depthwise_3x3_T_avx2_join(w0, w1, t->down[i][QIR_STEP == 1]);
        qir_conv_u8s8_depthwise_3x3_T_avx2_join(w1, w2, t->down[i][QIR_STEP == 2]);
    }
    for (i = 0; i < 2; ++i) {
        const int8_t *const row = w + 6 * i * channels;
        const __m256i w0 = qir_avx2_widened(row), w1 = qir_avx2_widened(row + channels);
        const __m256i w2 = qir_avx2_widened(row + 2 * channels);
        const int32_t side = QIR_STEP == 1 ? i : 1 - i;
        qir_conv_u8s8_depthwise_3x3_T_avx2_join(w0, w1, t->along[0][side]);
        qir_conv_u8s8_depthwise_3x3_T_avx2_join(w2, zero, t->along[1][side]);
#if QIR_STEP == 1
        qir_conv_u8s8_depthwise_3x3_T_avx2_join(zero, w0, t->along[2][side]);
        qir_conv_u8s8_depthwise_3x3_T_avx2_join(w1, w2, t->along[3][side]);
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
    __m256i codes;
    if (t->every) {
        codes = _mm256_packus_epi16(upper, lower);
    } else {
        codes = _mm256_packus_epi16(_mm256_adds_epi16(upper, t->zero_point), _mm256_adds_epi16(lower, t->zero_point));
        codes = _mm256_min_epu8(_mm256_max_epu8(codes, t->least), t->most);
    }
    codes = _mm256_permute4x64_epi64(codes, _MM_SHUFFLE(3, 1, 2, 0));
    _mm_storeu_si128((__m128i *)(void *)(y + down), _mm256_extracti128_si256(codes, 1));
    _mm_storeu_si128((__m128i *)(void *)y, _mm256_castsi256_si128(codes));
}

#if QIR_STEP == 1
#define QIR_EACH_ROW(each) each(0) each(1) each(2) each(3)
#else
#define QIR_EACH_ROW(each) each(0) each(1) each(2) each(3) each(4)
#endif
/* Once for each column: where the input begins or ends the rows' codes are others from there on. */
#define QIR_COLUMN                    \
    if (--left < 0) {                 \
        left = (++at)->columns;       \
        QIR_EACH_ROW(QIR_ENTER)       \
    }
#define QIR_ENTER(i) p##i = at->row[i];
#define QIR_POINT(i) const uint8_t *p##i = at->row[i];
#define QIR_JOIN(place, other)                                                                       \
    {                                                                                                \
        const __m256i first = qir_conv_u8s8_depthwise_3x3_T_avx2_words(place);                       \
        const __m256i second = qir_conv_u8s8_depthwise_3x3_T_avx2_words(other);                      \
        x0 = _mm256_unpacklo_epi16(first, second);                                                   \
        x1 = _mm256_unpackhi_epi16(first, second);                                                   \
    }
#define QIR_NEXT(i) p##i += at->next[i];
#define QIR_SUMS(sum) __m256i sum##0, sum##1, sum##2, sum##3;
/* Compilers would keep weights and products aside until no register is left: they are told the order, as in
   QIR_DOT2_TWICE, and where weights are. Products are added to a sum where it is, or make another one: the first of a
   window's, and the last, that of the window before, whose registers are free by then, so that no sum is moved. */
#if defined(__GNUC__)
#define QIR_PLACES(factors)                                                                            \
    [t] "r"(t), [at] "i"(offsetof(qir_conv_u8s8_depthwise_3x3_T_avx2_work, factors)),                  \
        [next] "i"(offsetof(qir_conv_u8s8_depthwise_3x3_T_avx2_work, factors) + sizeof(__m256i)), "m"(t->factors)
#define QIR_PRODUCTS "vpmaddwd %c[at](%[t]), %[x0], %[p0]\n\tvpmaddwd %c[next](%[t]), %[x1], %[p1]\n\t"
#define QIR_ADD(sum0, sum1, factors)                                                                   \
    {                                                                                                  \
        __m256i products0, products1;                                                                  \
        __asm__(QIR_PRODUCTS "vpaddd %[p0], %[s0], %[s0]\n\tvpaddd %[p1], %[s1], %[s1]"                \
                : [s0] "+x"(sum0), [s1] "+x"(sum1), [p0] "=&x"(products0), [p1] "=&x"(products1)       \
                : [x0] "x"(x0), [x1] "x"(x1), QIR_PLACES(factors));                                    \
    }
#define QIR_TOTAL(to0, to1, kept, sum0, sum1, factors)                                                 \
    __asm__(QIR_PRODUCTS "vpaddd %[s0], %[p0], %[p0]\n\tvpaddd %[s1], %[p1], %[p1]"                    \
            : [p0] "=&x"(to0), [p1] "=&x"(to1)                                                         \
            : [x0] "x"(x0), [x1] "x"(x1), [s0] kept(sum0), [s1] kept(sum1), QIR_PLACES(factors));
#else
#define QIR_ADD(sum0, sum1, factors) QIR_TOTAL(sum0, sum1, "x", sum0, sum1, factors)
#define QIR_TOTAL(to0, to1, kept, sum0, sum1, factors)                         \
    to0 = _mm256_add_epi32(sum0, _mm256_madd_epi16(x0, t->factors[0]));        \
    to1 = _mm256_add_epi32(sum1, _mm256_madd_epi16(x1, t->factors[1]));
#endif
#define QIR_UPPER(sum, kind, which) QIR_ADD(sum##0, sum##1, kind[which][0])
#define QIR_LOWER(sum, kind, which) QIR_ADD(sum##2, sum##3, kind[which][1])
#define QIR_UPPER_TO(to, sum, kind, which) QIR_TOTAL(to##0, to##1, "x", sum##0, sum##1, kind[which][0])
#define QIR_LOWER_TO(to, sum, kind, which) QIR_TOTAL(to##2, to##3, "x", sum##2, sum##3, kind[which][1])
#define QIR_BEGIN_UPPER(to, kind, which) QIR_TOTAL(to##0, to##1, "m", t->bias[0], t->bias[1], kind[which][0])
#define QIR_BEGIN_LOWER(to, kind, which) QIR_TOTAL(to##2, to##3, "m", t->bias[0], t->bias[1], kind[which][1])
#define QIR_STEPS(sum0, sum1) qir_conv_u8s8_depthwise_3x3_T_avx2_steps(t, sum0, sum1)
#define QIR_STORE                                                                 \
    qir_conv_u8s8_depthwise_3x3_T_avx2_store(t, upper, lower, y, down);           \
    y += channels;

QIR_AVX2 QIR_ALONE static void qir_conv_u8s8_depthwise_3x3_T_avx2_pair(const qir_conv_u8s8_depthwise_3x3_T_avx2_work *t,
                                                                       ptrdiff_t channels, uint8_t *y, ptrdiff_t down) {
    const qir_conv_u8s8_depthwise_3x3_T_avx2_piece *at = t->pieces;
    int32_t columns = t->columns, left = at->columns + 1;
    QIR_SUMS(a) QIR_SUMS(b)
    __m256i x0, x1, upper, lower;
    QIR_EACH_ROW(QIR_POINT)
#if QIR_STEP == 1
    QIR_SUMS(c) QIR_SUMS(d)
    const uint8_t *q0, *q3;
    QIR_COLUMN
    q0 = p0, q3 = p3;
    QIR_JOIN(p1, p2) QIR_BEGIN_UPPER(a, down, 0) QIR_BEGIN_LOWER(a, down, 0)
    QIR_EACH_ROW(QIR_NEXT)
    QIR_COLUMN
    QIR_JOIN(q0, p0) QIR_UPPER(a, along, 0) QIR_BEGIN_UPPER(b, along, 2)
    QIR_JOIN(q3, p3) QIR_LOWER(a, along, 0) QIR_BEGIN_LOWER(b, along, 2)
    QIR_JOIN(p1, p2) QIR_UPPER(a, down, 1) QIR_LOWER(a, down, 1) QIR_UPPER(b, down, 0) QIR_LOWER(b, down, 0)
    QIR_EACH_ROW(QIR_NEXT)
    for (;;) {
        QIR_COLUMN
        q0 = p0, q3 = p3;
        QIR_JOIN(p1, p2)
        QIR_UPPER(a, down, 2) QIR_LOWER(a, down, 2) QIR_UPPER(b, down, 1) QIR_LOWER(b, down, 1)
        QIR_BEGIN_UPPER(c, down, 0) QIR_BEGIN_LOWER(c, down, 0)
        QIR_EACH_ROW(QIR_NEXT)
        QIR_COLUMN
        QIR_JOIN(q0, p0)
        QIR_UPPER(a, along, 1)
        upper = QIR_STEPS(a0, a1);
        QIR_UPPER(b, along, 3) QIR_UPPER(c, along, 0) QIR_BEGIN_UPPER(d, along, 2)
        QIR_JOIN(q3, p3)
        QIR_LOWER(a, along, 1)
        lower = QIR_STEPS(a2, a3);
        QIR_LOWER(b, along, 3) QIR_LOWER(c, along, 0) QIR_BEGIN_LOWER(d, along, 2)
        QIR_STORE
        if (!--columns) {
            break;
        }
        QIR_JOIN(p1, p2)
        QIR_UPPER(b, down, 2) QIR_LOWER(b, down, 2)
        upper = QIR_STEPS(b0, b1);
        lower = QIR_STEPS(b2, b3);
        QIR_UPPER_TO(b, d, down, 0) QIR_LOWER_TO(b, d, down, 0) QIR_UPPER_TO(a, c, down, 1) QIR_LOWER_TO(a, c, down, 1)
        QIR_EACH_ROW(QIR_NEXT)
        QIR_STORE
        if (!--columns) {
            break;
        }
    }
#else
    const uint8_t *q2;
    QIR_COLUMN
    q2 = p2;
    QIR_JOIN(p0, p1) QIR_BEGIN_UPPER(a, down, 0)
    QIR_JOIN(p3, p4) QIR_BEGIN_LOWER(a, down, 0)
    QIR_EACH_ROW(QIR_NEXT)
    QIR_COLUMN
    QIR_JOIN(p0, p1) QIR_UPPER(a, down, 1)
    QIR_JOIN(p3, p4) QIR_LOWER(a, down, 1)
    QIR_JOIN(q2, p2) QIR_UPPER(a, along, 0) QIR_LOWER(a, along, 0)
    QIR_EACH_ROW(QIR_NEXT)
    do {
        QIR_COLUMN
        q2 = p2;
        QIR_JOIN(p0, p1) QIR_UPPER(a, down, 2) QIR_BEGIN_UPPER(b, down, 0)
        QIR_JOIN(p3, p4) QIR_LOWER(a, down, 2) QIR_BEGIN_LOWER(b, down, 0)
        QIR_EACH_ROW(QIR_NEXT)
        QIR_COLUMN
        QIR_JOIN(q2, p2) QIR_UPPER(a, along, 1) QIR_LOWER(a, along, 1)
        upper = QIR_STEPS(a0, a1);
        lower = QIR_STEPS(a2, a3);
        QIR_UPPER(b, along, 0) QIR_LOWER(b, along, 0)
        QIR_JOIN(p0, p1) QIR_UPPER_TO(a, b, down, 1)
        QIR_JOIN(p3, p4) QIR_LOWER_TO(a, b, down, 1)
        QIR_EACH_ROW(QIR_NEXT)
        QIR_STORE
    } while (--columns);
#endif
}
#undef QIR_EACH_ROW
#undef QIR_COLUMN
#undef QIR_ENTER
#undef QIR_POINT
#undef QIR_JOIN
#undef QIR_NEXT
#undef QIR_SUMS
#undef QIR_PLACES
#undef QIR_PRODUCTS
#undef QIR_ADD
#undef QIR_TOTAL
#undef QIR_UPPER
#undef QIR_LOWER
#undef QIR_UPPER_TO
#undef QIR_LOWER_TO
#undef QIR_BEGIN_UPPER
#undef QIR_BEGIN_LOWER
#undef QIR_STEPS
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
    for (i = 0; i < 5; ++i) {
        t.pieces[0].row[i] = t.pieces[2].row[i] = outside;
        t.pieces[0].next[i] = t.pieces[2].next[i] = 0;
    }
    t.pieces[0].columns = win->pad[2] - 1;
    t.pieces[1].columns = win->in[2] - 1;
    t.pieces[2].columns = INT32_MAX;
    t.columns = win->out[2];
    t.every = s->requant.zero_point == 0 && s->requant.low == 0 && s->requant.high == 255;
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
                        t.pieces[1].row[i] = inside ? x + place : outside;
                        t.pieces[1].next[i] = inside ? channels : 0;
                    }
                    to = y + ((ptrdiff_t)sample * win->out[1] + row) * win->out[2] * channels + from;
                    qir_conv_u8s8_depthwise_3x3_T_avx2_pair(&t, channels, to, down);
                }
            }
        }
    }
}
