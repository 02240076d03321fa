/* Tiles of woven codes (qir_woven.h) by one or two vectors of channels, those that QIR_WOVEN_TAKEN lists.

   QIR_DOT adds to each 32-bit lane the products of a channel's weights with the codes of a step, exactly. Two vectors
   make the most of a code that is spread over one. */
#ifndef QIR_WOVEN_X86_H
#define QIR_WOVEN_X86_H

#include "qir_woven.h"

/* template: begin */
#include "qir_x86_words.h"
/* template: end */

#define QIR_NAME(part) QIR_WOVEN_SUMS##_##part
#if QIR_CODES == 2
#define QIR_STARTING(sums, i) QIR_ADD(sums, QIR_SPREAD(offset[i]))
#define QIR_DO1(i)                        \
    codes = QIR_TAKE(from + 16 * i);      \
    codes2 = QIR_TAKE(from + 16 * i + 4); \
    QIR_DOT_CROSSED(a##i, codes, codes2, w0, w2);
#define QIR_DO2(i)                        \
    codes = QIR_TAKE(from + 16 * i);      \
    codes2 = QIR_TAKE(from + 16 * i + 4); \
    QIR_DOT_CROSSED_TWICE(a##i, b##i, codes, codes2, w0, w2, w1, w3);
#define QIR_PREPARED(s) QIR_WEIGHTS(w + (s) * QIR_STEP_BYTES), w2 = QIR_WEIGHTS(w + (s + 1) * QIR_STEP_BYTES)
#define QIR_PREPARED_NEXT(s)                               \
    QIR_WEIGHTS(w + (s) * QIR_STEP_BYTES + QIR_NEXT_VECTOR), \
        w3 = QIR_WEIGHTS(w + (s + 1) * QIR_STEP_BYTES + QIR_NEXT_VECTOR)
#define QIR_TAKEN_TOGETHER QIR_TAKEN codes, codes2;
#else
#define QIR_STARTING(sums, i) sums
#define QIR_DO1(i)                   \
    codes = QIR_TAKE(from + 16 * i); \
    QIR_DOT(a##i, codes, w0);
#define QIR_DO2(i)                   \
    codes = QIR_TAKE(from + 16 * i); \
    QIR_DOT(a##i, codes, w0);        \
    QIR_DOT(b##i, codes, w1);
#define QIR_PREPARED(s) QIR_WEIGHTS(w + (s) * QIR_STEP_BYTES)
#define QIR_PREPARED_NEXT(s) QIR_WEIGHTS(w + (s) * QIR_STEP_BYTES + QIR_NEXT_VECTOR)
#define QIR_TAKEN_TOGETHER QIR_TAKEN codes;
#endif
#define QIR_BEGIN1(i) QIR_VECTOR a##i = QIR_STARTING(first, i);
#define QIR_BEGIN2(i) QIR_VECTOR a##i = QIR_STARTING(first, i), b##i = QIR_STARTING(second, i);
#define QIR_END1(i) memcpy(sums + 16 * i, &a##i, sizeof a##i);
#define QIR_END2(i) QIR_END1(i) memcpy(sums + 16 * i + QIR_WIDTH, &b##i, sizeof b##i);
#define QIR_ONLY1(second)
#define QIR_ONLY2(second) second

/* A step, the s-th one from w on, on codes from `at` on; where products are crossed, that one and the next. */
#define QIR_STEP(n, v, s, at)                                                                             \
    {                                                                                                     \
        const uint8_t *const from = at;                                                                   \
        const QIR_TAKEN w0 = QIR_PREPARED(s);                                                             \
        QIR_ONLY##v(const QIR_TAKEN w1 = QIR_PREPARED_NEXT(s);)                                           \
        QIR_TAKEN_TOGETHER                                                                                \
        QIR_EACH_##n(QIR_DO##v)                                                                           \
    }

/* The steps of a chunk, and steps on codes of any chunk again. */
#if QIR_CODES == 8
#define QIR_CHUNK_STEPS 2
#define QIR_CHUNK(n, v) QIR_STEP(n, v, 0, x) QIR_STEP(n, v, 1, x + 8)
#define QIR_AGAIN_STEPS(n, v)                                                                            \
    for (i = 0; i < t->again; ++i, w += QIR_STEP_BYTES) {                                                \
        QIR_STEP(n, v, 0, x - (t->chunks - t->number[i] / 2) * (ptrdiff_t)(16 * n) + t->number[i] % 2 * 8) \
    }
#elif QIR_CODES == 2
#define QIR_CHUNK_STEPS 4
#define QIR_CHUNK(n, v) QIR_STEP(n, v, 0, x) QIR_STEP(n, v, 2, x + 8)
#define QIR_AGAIN_STEPS(n, v)
#else
#define QIR_CHUNK_STEPS 4
#define QIR_CHUNK(n, v) QIR_STEP(n, v, 0, x) QIR_STEP(n, v, 1, x + 4) QIR_STEP(n, v, 2, x + 8) QIR_STEP(n, v, 3, x + 12)
#define QIR_AGAIN_STEPS(n, v)
#endif

/* `times` tiles of n pixels by v vectors; next: what the first of them fetches first. */
#define QIR_TILES(n, v)                                                                                           \
    QIR_TARGET QIR_ALONE static void QIR_NAME(n##x##v)(const qir_woven *t, const uint8_t *x, const int32_t *offset, \
                                                       const char *next, int32_t times, int32_t *sums) {          \
        const ptrdiff_t apart = t->apart;                                                                         \
        do {                                                                                                      \
            const QIR_VECTOR first = QIR_LOAD(t->bias);                                                           \
            QIR_ONLY##v(const QIR_VECTOR second = QIR_LOAD(t->bias + QIR_WIDTH);)                                 \
            const int8_t *w = t->weights;                                                                         \
            int32_t i;                                                                                            \
            QIR_EACH_##n(QIR_BEGIN##v) for (i = t->chunks; i > 0; --i) {                                          \
                QIR_CHUNK(n, v)                                                                                   \
                _mm_prefetch(next, _MM_HINT_T1);                                                                  \
                next += apart;                                                                                    \
                x += 16 * n;                                                                                      \
                w += QIR_CHUNK_STEPS * QIR_STEP_BYTES;                                                            \
            }                                                                                                     \
            QIR_AGAIN_STEPS(n, v)                                                                                 \
            QIR_EACH_##n(QIR_END##v) sums += 16 * n;                                                              \
            offset += n;                                                                                          \
        } while (--times);                                                                                        \
        (void)offset;                                                                                             \
    }
QIR_WOVEN_TAKEN(QIR_TILES)

/* Tiles of `rows` pixels, as qir_woven_rows has them. */
#define QIR_CASE(n, v) case 8 * v + n: QIR_NAME(n##x##v)(t, x, offset, next, times, sums); break;
static void QIR_NAME(tiles)(const qir_woven *t, const uint8_t *x, const int32_t *offset, const char *next, int32_t rows,
                            int32_t times, int32_t two, int32_t *sums) {
    switch (rows + (two ? 16 : 8)) {
        QIR_WOVEN_TAKEN(QIR_CASE)
        default: QIR_NEVER; break;
    }
}

/* All pixels that are woven, for as many channels as are left. */
QIR_ALONE static void QIR_WOVEN_SUMS(const qir_woven *t, const uint8_t *x, const int32_t *offset,
                                     const qir_heights *cut, int32_t channels, int32_t *sums) {
    const int32_t high = qir_woven_rows(cut->high, QIR_WOVEN_ROWS), low = qir_woven_rows(cut->high - 1, QIR_WOVEN_ROWS);
    QIR_NAME(tiles)(t, x, offset, t->next, high, cut->higher, channels > QIR_WIDTH, sums);
    if (cut->lower) {
        const ptrdiff_t chunks = (ptrdiff_t)cut->higher * t->chunks;
        QIR_NAME(tiles)(t, x + chunks * high * 16, offset + cut->higher * cut->high, t->next + chunks * t->apart, low,
                        cut->lower, channels > QIR_WIDTH, sums + cut->higher * cut->high * 16);
    }
}
#undef QIR_NAME
#undef QIR_STARTING
#undef QIR_PREPARED
#undef QIR_PREPARED_NEXT
#undef QIR_TAKEN_TOGETHER
#undef QIR_BEGIN1
#undef QIR_BEGIN2
#undef QIR_DO1
#undef QIR_DO2
#undef QIR_END1
#undef QIR_END2
#undef QIR_ONLY1
#undef QIR_ONLY2
#undef QIR_STEP
#undef QIR_CHUNK_STEPS
#undef QIR_CHUNK
#undef QIR_AGAIN_STEPS
#undef QIR_TILES
#undef QIR_CASE

#endif
