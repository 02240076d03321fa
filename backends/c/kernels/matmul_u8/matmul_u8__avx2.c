#include "../../runtime/qir_avx2.h"
#include "matmul_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_avx2_store16_u8
#define QIR_PART16 qir_part16_u8
/* template: end */

/* What the tiles of a panel of sixteen columns share. */
typedef struct {
    int32_t steps;      /* pairs along the depth */
    int32_t columns;    /* that are left from this panel on */
    ptrdiff_t step;     /* elements of y from row to row */
    const int16_t *b;   /* [pair][column][2] */
    __m256 multiplier;
    qir_requant8 q;
} qir_matmul_u8u8_T_avx2_panel;

/* One to six rows by sixteen columns: vpmaddwd adds two products of codes less their zero points, at most
   2 * 255 * 255, in 32 bits. */
#define QIR_BEGIN(i) __m256i a##i = _mm256_setzero_si256(), b##i = _mm256_setzero_si256();
#define QIR_STEP(i)                                                               \
    codes = _mm256_set1_epi32(qir_four_bytes((i < 3 ? x : x3) + i % 3 * stride)); \
    QIR_DOT2(a##i, codes, w0);                                                    \
    QIR_DOT2(b##i, codes, w1);
#define QIR_END(i) QIR_STORE16(a##i, b##i, p->multiplier, p->multiplier, q, last + i * last_step);
#define QIR_TILE(n)                                                                                                    \
    QIR_AVX2 QIR_ALONE static void qir_matmul_u8u8_T_avx2_##n(const qir_matmul_u8u8_T_avx2_panel *p, const int16_t *x, \
                                                              QIR_Y *y) {                                              \
        const ptrdiff_t stride = (ptrdiff_t)p->steps * 2;                                                              \
        const int16_t *x3 = x + 3 * stride, *w = p->b;                                                                 \
        const int32_t whole = p->columns >= 16;                                                                        \
        QIR_Y part[n * 16];                                                                                            \
        QIR_Y *const last = whole ? y : part;                                                                          \
        const ptrdiff_t last_step = whole ? p->step : 16;                                                              \
        int32_t steps = p->steps;                                                                                      \
        qir_requant8 q;                                                                                                \
        QIR_EACH_##n(QIR_BEGIN) do {                                                                                   \
            const __m256i w0 = _mm256_loadu_si256((const __m256i *)(const void *)w);                                   \
            const __m256i w1 = _mm256_loadu_si256((const __m256i *)(const void *)(w + 16));                            \
            __m256i codes;                                                                                             \
            QIR_EACH_##n(QIR_STEP) x += 2, x3 += 2, w += 32;                                                           \
        } while (--steps);                                                                                             \
        (void)x3;                                                                                                      \
        q = p->q;                                                                                                      \
        QIR_EACH_##n(QIR_END) if (!whole) {                                                                            \
            QIR_PART16(part, n, p->columns, y, p->step);                                                               \
        }                                                                                                              \
    }
QIR_TILE(1) QIR_TILE(2) QIR_TILE(3) QIR_TILE(4) QIR_TILE(5) QIR_TILE(6)
#undef QIR_BEGIN
#undef QIR_STEP
#undef QIR_END
#undef QIR_TILE

/* Codes less their zero point, those of depth k and k + 1 of sixteen columns side by side; else zeros. */
QIR_AVX2 static void qir_matmul_u8u8_T_avx2_pack(const qir_matmul_u8_shape *s, const uint8_t *b, int32_t columns,
                                                 int16_t *to) {
    const ptrdiff_t down = s->b_depth_stride, right = s->b_column_stride;
    const __m256i zero = _mm256_set1_epi16((int16_t)s->b_zero_point);
    int32_t k, j, i;
    for (k = 0; k < s->depth; k += 2, to += 32, b += 2 * down) {
        if (columns >= 16 && right == 1 && k + 1 < s->depth) {
            const __m256i first = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)b));
            const __m256i second = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(b + down)));
            const __m256i low = _mm256_unpacklo_epi16(_mm256_sub_epi16(first, zero), _mm256_sub_epi16(second, zero));
            const __m256i high = _mm256_unpackhi_epi16(_mm256_sub_epi16(first, zero), _mm256_sub_epi16(second, zero));
            _mm256_storeu_si256((__m256i *)(void *)to, _mm256_permute2x128_si256(low, high, 0x20));
            _mm256_storeu_si256((__m256i *)(void *)(to + 16), _mm256_permute2x128_si256(low, high, 0x31));
        } else {
            for (j = 0; j < 16; ++j) {
                for (i = 0; i < 2; ++i) {
                    const int inside = j < columns && k + i < s->depth;
                    to[2 * j + i] = (int16_t)(inside ? b[i * down + j * right] - s->b_zero_point : 0);
                }
            }
        }
    }
}

/* Rows of a as int16 less their zero point, an odd depth filled up with a zero. */
static void qir_matmul_u8u8_T_avx2_rows(const qir_matmul_u8_shape *s, const uint8_t *a, int16_t *to) {
    int32_t row, k;
    for (row = 0; row < s->rows; ++row, a += s->a_row_stride) {
        if (s->a_depth_stride == 1) {
            for (k = 0; k < s->depth; ++k) {
                to[k] = (int16_t)(a[k] - s->a_zero_point);
            }
        } else {
            for (k = 0; k < s->depth; ++k) {
                to[k] = (int16_t)(a[(ptrdiff_t)k * s->a_depth_stride] - s->a_zero_point);
            }
        }
        to += s->depth;
        if (s->depth % 2) {
            *to++ = 0;
        }
    }
}

/* scratch: int16 [pairs of depth][16][2] for a panel of b, then [rows][pairs][2] for a. */
QIR_AVX2
void qir_matmul_u8u8_T__avx2(const qir_matmul_u8_shape *s, float multiplier, const uint8_t *QIR_RESTRICT a,
                             const uint8_t *QIR_RESTRICT b, void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    const int32_t groups = qir_broadcast_rows(&s->batch);
    int16_t *const panel = (int16_t *)scratch, *const wide = panel + (ptrdiff_t)(s->depth + 1) / 2 * 32;
    qir_matmul_u8u8_T_avx2_panel p;
    int32_t group, inner, row, column, count;
    p.steps = (s->depth + 1) / 2;
    p.step = s->columns;
    p.b = panel;
    p.multiplier = _mm256_set1_ps(multiplier);
    p.q = qir_widen_requant8(&s->requant);
    for (group = 0; group < groups; ++group) {
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(&s->batch, group, &a_start, &b_start);
        for (inner = 0; inner < s->batch.size[5]; ++inner, y += (ptrdiff_t)s->rows * s->columns) {
            qir_matmul_u8u8_T_avx2_rows(s, a + a_start + (ptrdiff_t)inner * s->batch.a_stride[5], wide);
            for (column = 0; column < s->columns; column += 16) {
                const uint8_t *const from = b + b_start + (ptrdiff_t)inner * s->batch.b_stride[5];
                p.columns = s->columns - column;
                qir_matmul_u8u8_T_avx2_pack(s, from + (ptrdiff_t)column * s->b_column_stride, p.columns, panel);
                for (row = 0; row < s->rows; row += count) {
                    const int16_t *const x = wide + (ptrdiff_t)row * p.steps * 2;
                    QIR_Y *const to = y + (ptrdiff_t)row * s->columns + column;
                    count = qir_piece(s->rows - row, 6);
                    switch (count) {
                        case 1: qir_matmul_u8u8_T_avx2_1(&p, x, to); break;
                        case 2: qir_matmul_u8u8_T_avx2_2(&p, x, to); break;
                        case 3: qir_matmul_u8u8_T_avx2_3(&p, x, to); break;
                        case 4: qir_matmul_u8u8_T_avx2_4(&p, x, to); break;
                        case 5: qir_matmul_u8u8_T_avx2_5(&p, x, to); break;
                        default: qir_matmul_u8u8_T_avx2_6(&p, x, to); break;
                    }
                }
            }
        }
    }
}
