/* Tiles of one to QIR_ROWS pixels by one or two vectors of channels, those that QIR_TILES_TAKEN lists, and a list of
   pixels cut into them.

   QIR_DOT adds to each 32-bit lane the products of a channel's weights with the codes of a step, exactly. Two vectors
   make the most of a code that is spread over one. */
#ifndef QIR_TILES_X86_H
#define QIR_TILES_X86_H

#include "qir_heights.h"
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
#if QIR_CODES == 2
#define QIR_DOT_TWICE QIR_DOT2_TWICE
#else
#define QIR_DOT_TWICE(sum, next, codes, weights, beside) \
    QIR_DOT(sum, codes, weights);                        \
    QIR_DOT(next, codes, beside)
#endif
#define QIR_STEP2(i)             \
    codes = QIR_TAKE(x##i + at); \
    QIR_DOT_TWICE(a##i, b##i, codes, w0, w1);

/* Where the results of a tile go that fill no vector, before they go where they belong. */
static const qir_row QIR_NAME(apart)[8] = {{0, 0, 0},   {0, 32, 0},  {0, 64, 0},  {0, 96, 0},
                                           {0, 128, 0}, {0, 160, 0}, {0, 192, 0}, {0, 224, 0}};

#if QIR_SUMS
/* Results that are sums with other codes: of up to eight pixels, whose sums of products are `kept` 32 apart. */
QIR_TARGET QIR_ALONE static void QIR_NAME(sums)(const qir_tiles *t, const qir_row *pixel, int32_t count,
                                                const int32_t *kept, QIR_Y *y) {
    const int32_t two = t->channels > QIR_WIDTH, whole = t->channels >= QIR_WIDTH << two, last = count - 1;
    const QIR_SUM_NUMBERS numbers = QIR_WIDEN_SUM(t->sum);
    const QIR_REQUANT q = QIR_WIDEN_REQUANT(t->requant);
    const QIR_REALS scale = QIR_LOAD_REALS(t->multiplier), scale2 = QIR_LOAD_REALS(t->multiplier + QIR_WIDTH * two);
    const qir_row *const at = whole ? pixel : QIR_NAME(apart);
    uint8_t part[8 * 32], beside[8 * 32], *const to = whole ? y : part;
    const uint8_t *const other = whole ? t->other : beside;
    int32_t i;
    if (!whole) {
        memset(beside, 0, sizeof beside);
        for (i = 0; i < count; ++i) {
            QIR_PART(t->other + pixel[i].to, t->channels, beside + at[i].to);
        }
    }
    #define QIR_REAL(i, next, scale) \
    QIR_SUM(QIR_SCALED(QIR_LOAD(kept + 32 * (i) + next), scale), &numbers, other + at[i].to + next, QIR_OWN_FIRST)
    for (i = 0; i < count; i += two ? 2 : 4) {
        const int32_t j = i + 1 < last ? i + 1 : last, k = i + 2 < last ? i + 2 : last, l = i + 3 < last ? i + 3 : last;
        if (two) {
            QIR_PAIR(QIR_REAL(i, 0, scale), QIR_REAL(i, QIR_WIDTH, scale2), QIR_REAL(j, 0, scale),
                     QIR_REAL(j, QIR_WIDTH, scale2), q, to + at[i].to, to + at[j].to);
        } else {
            QIR_FOUR(QIR_REAL(i, 0, scale), QIR_REAL(j, 0, scale), QIR_REAL(k, 0, scale), QIR_REAL(l, 0, scale), q,
                     to + at[i].to, to + at[j].to, to + at[k].to, to + at[l].to);
        }
    }
    #undef QIR_REAL
    for (i = 0; i < count && !whole; ++i) {
        QIR_PART(part + at[i].to, t->channels, y + pixel[i].to);
    }
}

#define QIR_END1(i) memcpy(kept + 32 * i, &a##i, sizeof a##i);
#define QIR_END2(i) QIR_END1(i) memcpy(kept + 32 * i + QIR_WIDTH, &b##i, sizeof b##i);
#define QIR_ROOM(n, width) int32_t kept[n * 32];
#define QIR_RESULTS1(n) QIR_EACH_##n(QIR_END1) QIR_NAME(sums)(t, pixel, n, kept, y);
#define QIR_RESULTS2(n) QIR_EACH_##n(QIR_END2) QIR_NAME(sums)(t, pixel, n, kept, y);
#else
#define QIR_TO(i) (last + to[i].to)
#define QIR_END1(i, j, k, l)                                                                                    \
    QIR_FOUR(QIR_SCALED(a##i, scale), QIR_SCALED(a##j, scale), QIR_SCALED(a##k, scale), QIR_SCALED(a##l, scale), \
             q, QIR_TO(i), QIR_TO(j), QIR_TO(k), QIR_TO(l));
#define QIR_END2(i, j)                                                                                             \
    QIR_PAIR(QIR_SCALED(a##i, scale), QIR_SCALED(b##i, scale2), QIR_SCALED(a##j, scale), QIR_SCALED(b##j, scale2), \
             q, QIR_TO(i), QIR_TO(j));
#define QIR_REST(i) QIR_PART(part + to[i].to, t->channels, y + pixel[i].to);
#define QIR_ROOM(n, width)                                     \
    const int32_t whole = t->channels >= width;                \
    const qir_row *to = whole ? pixel : QIR_NAME(apart);       \
    QIR_Y part[n * 32], *const last = whole ? y : part;        \
    QIR_REQUANT q;                                             \
    QIR_REALS scale;
#define QIR_RESULTS(n, ends)                     \
    q = QIR_WIDEN_REQUANT(t->requant);           \
    scale = QIR_LOAD_REALS(t->multiplier);       \
    ends                                         \
    if (!whole) {                                \
        QIR_EACH_##n(QIR_REST)                   \
    }                                            \
    to += whole ? n : 0;
#define QIR_RESULTS1(n) QIR_RESULTS(n, QIR_FOURS_##n(QIR_END1))
#define QIR_RESULTS2(n)                                                           \
    {                                                                             \
        const QIR_REALS scale2 = QIR_LOAD_REALS(t->multiplier + QIR_WIDTH);       \
        QIR_RESULTS(n, QIR_PAIRS_##n(QIR_END2))                                   \
    }
#endif

#define QIR_TILE1(n)                                                                                               \
    QIR_TARGET QIR_ALONE static void QIR_NAME(n##x1)(const qir_tiles *t, const qir_row *pixel, int32_t times,      \
                                                 QIR_Y *y) {                                                       \
        QIR_ROOM(n, QIR_WIDTH) do {                                                                                \
            const QIR_VECTOR first = QIR_LOAD(t->bias);                                                            \
            const int8_t *w = t->weights;                                                                          \
            const int32_t *place = t->places;                                                                      \
            int32_t steps = t->steps;                                                                              \
            QIR_EACH_##n(QIR_POINT) QIR_EACH_##n(QIR_BEGIN1) QIR_RUNS1(n, t->run) do {                             \
                const ptrdiff_t at = *place++;                                                                     \
                const QIR_TAKEN w0 = QIR_WEIGHTS(w);                                                               \
                QIR_TAKEN codes;                                                                                   \
                QIR_EACH_##n(QIR_STEP1) w += QIR_STEP_BYTES;                                                       \
            } while (--steps); QIR_RUNS1_END(n)                                                                    \
            QIR_RESULTS1(n)                                                                                        \
            pixel += n;                                                                                            \
        } while (--times);                                                                                         \
    }

#define QIR_TILE2(n)                                                                                               \
    QIR_TARGET QIR_ALONE static void QIR_NAME(n##x2)(const qir_tiles *t, const qir_row *pixel, int32_t times,      \
                                                 QIR_Y *y) {                                                       \
        const ptrdiff_t next = QIR_NEXT_VECTOR;                                                                    \
        QIR_ROOM(n, 2 * QIR_WIDTH) do {                                                                            \
            const QIR_VECTOR first = QIR_LOAD(t->bias), second = QIR_LOAD(t->bias + QIR_WIDTH);                    \
            const int8_t *w = t->weights;                                                                          \
            const int32_t *place = t->places;                                                                      \
            int32_t steps = t->steps;                                                                              \
            QIR_EACH_##n(QIR_POINT) QIR_EACH_##n(QIR_BEGIN2) QIR_RUNS2(n, t->run) do {                             \
                const ptrdiff_t at = *place++;                                                                     \
                const QIR_TAKEN w0 = QIR_WEIGHTS(w), w1 = QIR_WEIGHTS(w + next);                                   \
                QIR_TAKEN codes;                                                                                   \
                QIR_EACH_##n(QIR_STEP2) w += QIR_STEP_BYTES;                                                       \
            } while (--steps); QIR_RUNS2_END(n)                                                                    \
            QIR_RESULTS2(n)                                                                                        \
            pixel += n;                                                                                            \
        } while (--times);                                                                                         \
    }

#define QIR_TILE(n, v) QIR_TILE##v(n)
QIR_TILES_TAKEN(QIR_TILE)

/* `times` tiles of `high` pixels. */
#define QIR_CASE(n, v) case 8 * v + n: QIR_NAME(n##x##v)(t, pixel, times, y); break;
static void QIR_NAME(tiles)(const qir_tiles *t, const qir_row *pixel, int32_t high, int32_t times, QIR_Y *y) {
    switch (high + (t->channels > QIR_WIDTH ? 16 : 8)) {
        QIR_TILES_TAKEN(QIR_CASE)
        default: QIR_NEVER; break;
    }
}

/* All pixels. */
static void QIR_BY_TILES(const qir_tiles *t, int32_t count, QIR_Y *y) {
    const qir_heights cut = qir_cut_into_tiles(count, QIR_ROWS);
    QIR_NAME(tiles)(t, t->pixels, cut.high, cut.higher, y);
    if (cut.lower) {
        QIR_NAME(tiles)(t, t->pixels + cut.higher * cut.high, cut.high - 1, cut.lower, y);
    }
}
#undef QIR_POINT
#undef QIR_BEGIN1
#undef QIR_BEGIN2
#undef QIR_STEP1
#undef QIR_STEP2
#undef QIR_DOT_TWICE
#undef QIR_TO
#undef QIR_END1
#undef QIR_END2
#undef QIR_REST
#undef QIR_ROOM
#undef QIR_RESULTS
#undef QIR_RESULTS1
#undef QIR_RESULTS2
#undef QIR_TILE1
#undef QIR_TILE2
#undef QIR_TILE
#undef QIR_CASE
#undef QIR_NAME
#undef QIR_WITHOUT_OFFSET
#undef QIR_WITH_OFFSET

#endif
