/* Tiles of one to QIR_ROWS pixels by one or two vectors of channels, and a list of pixels cut into them.

   QIR_DOT adds to each 32-bit lane the products of a channel's weights with the codes of a step, exactly. Two vectors
   make the most of a code that is spread over one. */
#ifndef QIR_TILES_X86_H
#define QIR_TILES_X86_H

#include "qir_tiles.h"

/* template: begin */
#include "qir_x86_words.h"
/* template: end */

#define QIR_NAME(part) QIR_BY_TILES##_##part
#define QIR_WITHOUT_OFFSET(sums, i) sums
#define QIR_WITH_OFFSET(sums, i) QIR_ADD(sums, QIR_SPREAD(pixel[i].offset))
#define QIR_POINT(i) const uint8_t *const x##i = t->x + pixel[i].from;
#define QIR_BEGIN1(i) QIR_VECTOR a##i = QIR_START(first, i);
#define QIR_BEGIN2(i) QIR_VECTOR a##i = QIR_START(first, i), b##i = QIR_START(second, i);
#define QIR_STEP1(i)            \
    codes = QIR_TAKE(x##i + at); \
    QIR_DOT(a##i, codes, w0);
#define QIR_STEP2(i)            \
    codes = QIR_TAKE(x##i + at); \
    QIR_DOT(a##i, codes, w0);   \
    QIR_DOT(b##i, codes, w1);
#define QIR_TO(i) (last + to[i].to)
#define QIR_END1(i, j, k, l) QIR_FOUR(a##i, a##j, a##k, a##l, scale, q, QIR_TO(i), QIR_TO(j), QIR_TO(k), QIR_TO(l));
#define QIR_END2(i, j) QIR_PAIR(a##i, b##i, a##j, b##j, scale, scale2, q, QIR_TO(i), QIR_TO(j));
#define QIR_REST(i) QIR_PART(part + to[i].to, t->channels, y + pixel[i].to);

/* Where the results of a tile go that fill no vector, before they go where they belong. */
static const qir_row QIR_NAME(apart)[8] = {{0, 0, 0},   {0, 32, 0},  {0, 64, 0},  {0, 96, 0},
                                           {0, 128, 0}, {0, 160, 0}, {0, 192, 0}, {0, 224, 0}};

#define QIR_TILE1(n)                                                                                               \
    QIR_TARGET QIR_ALONE static void QIR_NAME(n##x1)(const qir_tiles *t, const qir_row *pixel, int32_t times,      \
                                                 QIR_Y *y) {                                                       \
        const int32_t whole = t->channels >= QIR_WIDTH;                                                            \
        QIR_Y part[n * 32], *const last = whole ? y : part;                                                        \
        const qir_row *to = whole ? pixel : QIR_NAME(apart);                                                       \
        const ptrdiff_t step = whole ? n : 0;                                                                      \
        do {                                                                                                       \
            const QIR_VECTOR first = QIR_LOAD(t->bias);                                                            \
            const int8_t *w = t->weights;                                                                          \
            const int32_t *place = t->places;                                                                      \
            int32_t steps = t->steps;                                                                              \
            QIR_REQUANT q;                                                                                         \
            QIR_REALS scale;                                                                                       \
            QIR_EACH_##n(QIR_POINT) QIR_EACH_##n(QIR_BEGIN1) QIR_RUNS1(n, t->run) do {                             \
                const ptrdiff_t at = *place++;                                                                     \
                const QIR_TAKEN w0 = QIR_WEIGHTS(w);                                                               \
                QIR_TAKEN codes;                                                                                   \
                QIR_EACH_##n(QIR_STEP1) w += QIR_STEP_BYTES;                                                       \
            } while (--steps); QIR_RUNS1_END(n)                                                                    \
            q = QIR_WIDEN_REQUANT(t->requant);                                                                     \
            scale = QIR_LOAD_REALS(t->multiplier);                                                                 \
            QIR_FOURS_##n(QIR_END1) if (!whole) {                                                                  \
                QIR_EACH_##n(QIR_REST)                                                                             \
            }                                                                                                      \
            pixel += n;                                                                                            \
            to += step;                                                                                            \
        } while (--times);                                                                                         \
    }

#define QIR_TILE2(n)                                                                                               \
    QIR_TARGET QIR_ALONE static void QIR_NAME(n##x2)(const qir_tiles *t, const qir_row *pixel, int32_t times,      \
                                                 QIR_Y *y) {                                                       \
        const ptrdiff_t next = QIR_NEXT_VECTOR;                                                                    \
        const int32_t whole = t->channels >= 2 * QIR_WIDTH;                                                        \
        QIR_Y part[n * 32], *const last = whole ? y : part;                                                        \
        const qir_row *to = whole ? pixel : QIR_NAME(apart);                                                       \
        const ptrdiff_t step = whole ? n : 0;                                                                      \
        do {                                                                                                       \
            const QIR_VECTOR first = QIR_LOAD(t->bias), second = QIR_LOAD(t->bias + QIR_WIDTH);                    \
            const int8_t *w = t->weights;                                                                          \
            const int32_t *place = t->places;                                                                      \
            int32_t steps = t->steps;                                                                              \
            QIR_REQUANT q;                                                                                         \
            QIR_REALS scale, scale2;                                                                               \
            QIR_EACH_##n(QIR_POINT) QIR_EACH_##n(QIR_BEGIN2) QIR_RUNS2(n, t->run) do {                             \
                const ptrdiff_t at = *place++;                                                                     \
                const QIR_TAKEN w0 = QIR_WEIGHTS(w), w1 = QIR_WEIGHTS(w + next);                                   \
                QIR_TAKEN codes;                                                                                   \
                QIR_EACH_##n(QIR_STEP2) w += QIR_STEP_BYTES;                                                       \
            } while (--steps); QIR_RUNS2_END(n)                                                                    \
            q = QIR_WIDEN_REQUANT(t->requant);                                                                     \
            scale = QIR_LOAD_REALS(t->multiplier);                                                                 \
            scale2 = QIR_LOAD_REALS(t->multiplier + QIR_WIDTH);                                                    \
            QIR_PAIRS_##n(QIR_END2) if (!whole) {                                                                  \
                QIR_EACH_##n(QIR_REST)                                                                             \
            }                                                                                                      \
            pixel += n;                                                                                            \
            to += step;                                                                                            \
        } while (--times);                                                                                         \
    }

QIR_TILE1(1) QIR_TILE1(2) QIR_TILE1(3) QIR_TILE1(4)
QIR_TILE2(1) QIR_TILE2(2) QIR_TILE2(3) QIR_TILE2(4)
#if QIR_ROWS > 4
QIR_TILE1(5) QIR_TILE1(6)
QIR_TILE2(5) QIR_TILE2(6)
#endif
#if QIR_ROWS > 6
QIR_TILE1(7) QIR_TILE1(8)
QIR_TILE2(7) QIR_TILE2(8)
#endif

/* `times` tiles of `high` pixels. */
static void QIR_NAME(tiles)(const qir_tiles *t, const qir_row *pixel, int32_t high, int32_t times, QIR_Y *y) {
    switch (t->channels > QIR_WIDTH ? 8 + high : high) {
        case 1: QIR_NAME(1x1)(t, pixel, times, y); break;
        case 2: QIR_NAME(2x1)(t, pixel, times, y); break;
        case 3: QIR_NAME(3x1)(t, pixel, times, y); break;
        case 4: QIR_NAME(4x1)(t, pixel, times, y); break;
        case 9: QIR_NAME(1x2)(t, pixel, times, y); break;
        case 10: QIR_NAME(2x2)(t, pixel, times, y); break;
        case 11: QIR_NAME(3x2)(t, pixel, times, y); break;
        case 12: QIR_NAME(4x2)(t, pixel, times, y); break;
#if QIR_ROWS > 4
        case 5: QIR_NAME(5x1)(t, pixel, times, y); break;
        case 6: QIR_NAME(6x1)(t, pixel, times, y); break;
        case 13: QIR_NAME(5x2)(t, pixel, times, y); break;
        case 14: QIR_NAME(6x2)(t, pixel, times, y); break;
#endif
#if QIR_ROWS > 6
        case 7: QIR_NAME(7x1)(t, pixel, times, y); break;
        case 8: QIR_NAME(8x1)(t, pixel, times, y); break;
        case 15: QIR_NAME(7x2)(t, pixel, times, y); break;
        default: QIR_NAME(8x2)(t, pixel, times, y); break;
#endif
    }
}

/* All pixels, in tiles of nearly equal height: the first ones are as high as the others, or by one pixel higher. */
static void QIR_BY_TILES(const qir_tiles *t, int32_t count, QIR_Y *y) {
    const int32_t times = (count + QIR_ROWS - 1) / QIR_ROWS, high = (count + times - 1) / times;
    const int32_t higher = count - times * (high - 1);
    QIR_NAME(tiles)(t, t->pixels, high, higher, y);
    if (higher < times) {
        QIR_NAME(tiles)(t, t->pixels + higher * high, high - 1, times - higher, y);
    }
}
#undef QIR_POINT
#undef QIR_BEGIN1
#undef QIR_BEGIN2
#undef QIR_STEP1
#undef QIR_STEP2
#undef QIR_TO
#undef QIR_END1
#undef QIR_END2
#undef QIR_REST
#undef QIR_TILE1
#undef QIR_TILE2
#undef QIR_NAME
#undef QIR_WITHOUT_OFFSET
#undef QIR_WITH_OFFSET

#endif
