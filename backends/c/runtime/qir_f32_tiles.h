#ifndef QIR_F32_TILES_H
#define QIR_F32_TILES_H

#include "qir_f32_tile.h"

/* template: begin */
#include "qir_f32_words.h"
/* template: end */

#define QIR_TILE_OF(rows, vectors) QIR_TILE##_##rows##x##vectors
#define QIR_BEGIN1(i) QIR_VF low##i = first;
#define QIR_BEGIN2(i) QIR_VF low##i = first, high##i = second;
#define QIR_WEIGHTS1 const QIR_VF w0 = QIR_LOAD(w);
#define QIR_WEIGHTS2 QIR_WEIGHTS1 const QIR_VF w1 = QIR_LOAD(w + QIR_WIDTH);
#define QIR_STEP1(i) low##i = QIR_FMA(QIR_ALL(QIR_ROW_##i), w0, low##i);
#define QIR_STEP2(i)                                \
    {                                               \
        const QIR_VF value = QIR_ALL(QIR_ROW_##i);  \
        low##i = QIR_FMA(value, w0, low##i);        \
        high##i = QIR_FMA(value, w1, high##i);      \
    }
#define QIR_FOUR_OF(i) const QIR_FOUR four##i = QIR_LOAD_FOUR(&QIR_ROW_##i);
#define QIR_LANE1(i) low##i = QIR_FMA_LANE(four##i, lane, w0, low##i);
#define QIR_LANE2(i) QIR_LANE1(i) high##i = QIR_FMA_LANE(four##i, lane, w1, high##i);
#define QIR_LANE(n, v, number)                                       \
    {                                                                \
        enum { lane = number };                                      \
        QIR_WEIGHTS##v QIR_ROWS_##n(QIR_LANE##v) w += 2 * QIR_WIDTH; \
    }
/* Steps by fours, where one lane of a register can be a factor of whole vectors. */
#if QIR_BY_LANE
#define QIR_STEPS_BY_FOUR(n, v)                                                                           \
    for (; length >= 4; length -= 4, x0 += 4, x3 += 4, x6 += 4, x9 += 4, x12 += 4) {                      \
        QIR_ROWS_##n(QIR_FOUR_OF) QIR_LANE(n, v, 0) QIR_LANE(n, v, 1) QIR_LANE(n, v, 2) QIR_LANE(n, v, 3) \
    }
#else
#define QIR_STEPS_BY_FOUR(n, v)
#endif
#define QIR_END1(i) QIR_STORE(to + i * step, QIR_MIN(most, QIR_MAX(least, low##i)));
#define QIR_END2(i) \
    QIR_END1(i)     \
    QIR_STORE(to + i * step + QIR_WIDTH, QIR_MIN(most, QIR_MAX(least, high##i)));

/* A tile of n rows and v vectors. */
#define QIR_TILE_BODY(n, v)                                                                                        \
    QIR_ISA QIR_ALONE static void QIR_TILE_OF(n, v)(const qir_f32_tile *t, const float *x, float *y) {             \
        const ptrdiff_t stride = t->stride;                                                                        \
        const int32_t *segment = t->segment, whole = t->columns >= v * QIR_WIDTH;                                  \
        const float *w = t->weights;                                                                               \
        const QIR_VF first = QIR_LOAD(t->bias), second = QIR_LOAD(t->bias + QIR_WIDTH);                            \
        const QIR_VF least = QIR_ALL(t->low), most = QIR_ALL(t->high);                                             \
        float part[n * v * QIR_WIDTH];                                                                             \
        float *const to = whole ? y : part;                                                                        \
        const ptrdiff_t step = whole ? t->step : v * QIR_WIDTH;                                                    \
        int32_t segments = t->segments;                                                                            \
        QIR_ROWS_##n(QIR_BEGIN##v) do {                                                                            \
            const float *x0 = x + *segment++, *x3 = x0 + 3 * stride, *x6 = x3 + 3 * stride, *x9 = x6 + 3 * stride, \
                        *x12 = x9 + 3 * stride;                                                                    \
            int32_t length = t->length;                                                                            \
            QIR_STEPS_BY_FOUR(n, v) for (; length > 0; --length) {                                                 \
                QIR_WEIGHTS##v                                                                                     \
                QIR_ROWS_##n(QIR_STEP##v) ++x0, ++x3, ++x6, ++x9, ++x12, w += 2 * QIR_WIDTH;                       \
            }                                                                                                      \
            (void)x3, (void)x6, (void)x9, (void)x12;                                                               \
        } while (--segments);                                                                                      \
        (void)second;                                                                                              \
        QIR_ROWS_##n(QIR_END##v) if (!whole) {                                                                     \
            qir_f32_part(part, v * QIR_WIDTH, n, t->columns, y, t->step);                                          \
        }                                                                                                          \
    }

QIR_TILE_BODY(1, 1) QIR_TILE_BODY(2, 1) QIR_TILE_BODY(3, 1) QIR_TILE_BODY(4, 1)
QIR_TILE_BODY(5, 1) QIR_TILE_BODY(6, 1) QIR_TILE_BODY(7, 1) QIR_TILE_BODY(8, 1)
QIR_TILE_BODY(1, 2) QIR_TILE_BODY(2, 2) QIR_TILE_BODY(3, 2) QIR_TILE_BODY(4, 2)
#if QIR_TALLEST > 4
QIR_TILE_BODY(5, 2) QIR_TILE_BODY(6, 2)
#endif
#if QIR_TALLEST > 6
QIR_TILE_BODY(7, 2) QIR_TILE_BODY(8, 2)
#endif
#if QIR_TALLEST > 8
QIR_TILE_BODY(10, 2) QIR_TILE_BODY(12, 2)
#endif
#if QIR_TALLEST > 12
QIR_TILE_BODY(14, 2)
#endif

/* `rows` rows of one panel, in tiles. */
static void QIR_TILE_LINE(const qir_f32_tile *t, const float *x, int32_t rows, float *y) {
    const int32_t wide = t->columns > QIR_WIDTH;
    int32_t row, count;
    for (row = 0; row < rows; row += count, x += count * t->stride, y += count * t->step) {
        count = qir_f32_rows(rows - row, wide ? QIR_TALLEST : 8);
        switch (wide ? 16 + count : count) {
            case 1: QIR_TILE_OF(1, 1)(t, x, y); break;
            case 2: QIR_TILE_OF(2, 1)(t, x, y); break;
            case 3: QIR_TILE_OF(3, 1)(t, x, y); break;
            case 4: QIR_TILE_OF(4, 1)(t, x, y); break;
            case 5: QIR_TILE_OF(5, 1)(t, x, y); break;
            case 6: QIR_TILE_OF(6, 1)(t, x, y); break;
            case 7: QIR_TILE_OF(7, 1)(t, x, y); break;
            case 8: QIR_TILE_OF(8, 1)(t, x, y); break;
            case 17: QIR_TILE_OF(1, 2)(t, x, y); break;
            case 18: QIR_TILE_OF(2, 2)(t, x, y); break;
            case 19: QIR_TILE_OF(3, 2)(t, x, y); break;
            case 20: QIR_TILE_OF(4, 2)(t, x, y); break;
#if QIR_TALLEST > 4
            case 21: QIR_TILE_OF(5, 2)(t, x, y); break;
            case 22: QIR_TILE_OF(6, 2)(t, x, y); break;
#endif
#if QIR_TALLEST > 6
            case 23: QIR_TILE_OF(7, 2)(t, x, y); break;
            case 24: QIR_TILE_OF(8, 2)(t, x, y); break;
#endif
#if QIR_TALLEST > 8
            case 26: QIR_TILE_OF(10, 2)(t, x, y); break;
            case 28: QIR_TILE_OF(12, 2)(t, x, y); break;
#endif
#if QIR_TALLEST > 12
            case 30: QIR_TILE_OF(14, 2)(t, x, y); break;
#endif
            default: break;
        }
    }
}

/* One row of four panels, all of whose columns count; it is reading the weights that takes the time. */
QIR_ISA QIR_ALONE static void QIR_TILE_STRIP(const qir_f32_tile *t, const float *x, float *y) {
    const ptrdiff_t panel = (ptrdiff_t)t->segments * t->length * (2 * QIR_WIDTH);
    const float *w = t->weights, *const bias = t->bias;
    const QIR_VF least = QIR_ALL(t->low), most = QIR_ALL(t->high);
    const int32_t *segment = t->segment;
    int32_t segments = t->segments;
    QIR_VF sum0 = QIR_LOAD(bias), sum1 = QIR_LOAD(bias + QIR_WIDTH), sum2 = QIR_LOAD(bias + 2 * QIR_WIDTH);
    QIR_VF sum3 = QIR_LOAD(bias + 3 * QIR_WIDTH), sum4 = QIR_LOAD(bias + 4 * QIR_WIDTH);
    QIR_VF sum5 = QIR_LOAD(bias + 5 * QIR_WIDTH), sum6 = QIR_LOAD(bias + 6 * QIR_WIDTH);
    QIR_VF sum7 = QIR_LOAD(bias + 7 * QIR_WIDTH);
    do {
        const float *from = x + *segment++;
        int32_t length = t->length;
        do {
            const float *const w2 = w + 2 * panel;
            const QIR_VF value = QIR_ALL(*from++);
            sum0 = QIR_FMA(value, QIR_LOAD(w), sum0);
            sum1 = QIR_FMA(value, QIR_LOAD(w + QIR_WIDTH), sum1);
            sum2 = QIR_FMA(value, QIR_LOAD(w + panel), sum2);
            sum3 = QIR_FMA(value, QIR_LOAD(w + panel + QIR_WIDTH), sum3);
            sum4 = QIR_FMA(value, QIR_LOAD(w2), sum4);
            sum5 = QIR_FMA(value, QIR_LOAD(w2 + QIR_WIDTH), sum5);
            sum6 = QIR_FMA(value, QIR_LOAD(w2 + panel), sum6);
            sum7 = QIR_FMA(value, QIR_LOAD(w2 + panel + QIR_WIDTH), sum7);
            w += 2 * QIR_WIDTH;
        } while (--length);
    } while (--segments);
    QIR_STORE(y, QIR_MIN(most, QIR_MAX(least, sum0)));
    QIR_STORE(y + QIR_WIDTH, QIR_MIN(most, QIR_MAX(least, sum1)));
    QIR_STORE(y + 2 * QIR_WIDTH, QIR_MIN(most, QIR_MAX(least, sum2)));
    QIR_STORE(y + 3 * QIR_WIDTH, QIR_MIN(most, QIR_MAX(least, sum3)));
    QIR_STORE(y + 4 * QIR_WIDTH, QIR_MIN(most, QIR_MAX(least, sum4)));
    QIR_STORE(y + 5 * QIR_WIDTH, QIR_MIN(most, QIR_MAX(least, sum5)));
    QIR_STORE(y + 6 * QIR_WIDTH, QIR_MIN(most, QIR_MAX(least, sum6)));
    QIR_STORE(y + 7 * QIR_WIDTH, QIR_MIN(most, QIR_MAX(least, sum7)));
}

/* All columns of `lines` times `rows` rows; x_line and y_line lie between lines. Panels lie one after the other in the
   tile's weights and bias. */
QIR_ALONE static void QIR_TILE_PRODUCT(const qir_f32_tile *tile, const float *x, ptrdiff_t x_line, int32_t lines,
                                       int32_t rows, float *y, ptrdiff_t y_line) {
    const int32_t single = lines == 1 && rows == 1;
    qir_f32_tile t = *tile;
    while (t.columns > 0) {
        const int32_t panels = single && t.columns >= 8 * QIR_WIDTH ? 4 : 1;
        int32_t line;
        if (panels == 4) {
            QIR_TILE_STRIP(&t, x, y);
        } else {
            for (line = 0; line < lines; ++line) {
                QIR_TILE_LINE(&t, x + line * x_line, rows, y + line * y_line);
            }
        }
        t.weights += (ptrdiff_t)panels * t.segments * t.length * (2 * QIR_WIDTH);
        t.bias += panels * 2 * QIR_WIDTH;
        t.columns -= panels * 2 * QIR_WIDTH;
        y += panels * 2 * QIR_WIDTH;
    }
}

#undef QIR_TILE_OF
#undef QIR_BEGIN1
#undef QIR_BEGIN2
#undef QIR_WEIGHTS1
#undef QIR_WEIGHTS2
#undef QIR_STEP1
#undef QIR_STEP2
#undef QIR_FOUR_OF
#undef QIR_LANE1
#undef QIR_LANE2
#undef QIR_LANE
#undef QIR_STEPS_BY_FOUR
#undef QIR_END1
#undef QIR_END2
#undef QIR_TILE_BODY

#endif
