#include "gemm_u8.h"

/* template: begin */
#include "../../runtime/qir_x86_words.h"
/* template: end */

/* Sixteen columns times `panels` of one row, all of it reading of weights: four panels are four streams through memory,
   and their sums hide the latency of an instruction; one panel is what is left over. A panel is one vector or two.
   Weights w of b bits are multiplied as they are stored, u = w + 2^(b-1), or w = 2 u - 1 of one bit:

       sum x w = sum x u - 2^(b-1) sum x   or   2 sum x u - sum x

   where the sum of a row is computed once. Both may leave int32 on the way, the result does not: sums may wrap around.
   Sums of planes are looked up in the tables that a panel begins with, and then multiplied. */
#define QIR_REAL(sums, at) QIR_SCALED(sums, QIR_LOAD_REALS(multiplier + at))
#if QIR_BITS < 8 && !QIR_PLANES
#define QIR_START_AT(from) QIR_SPREAD(0)
#define QIR_AHEAD(i) _mm_prefetch((const char *)w + i * panel + 1024, _MM_HINT_T0);
#define QIR_WHOLE(sum, from) QIR_ADD(QIR_ADD(QIR_LOAD(from), less), QIR_BITS > 1 ? sum : QIR_ADD(sum, sum))
#else
#define QIR_START_AT(from) QIR_LOAD(from)
#define QIR_AHEAD(i)
#define QIR_WHOLE(sum, from) sum
#endif
#if QIR_PLANES
#define QIR_FIRST(i) QIR_SUM_OF_PLANES(QIR_FEW(w + i * panel, QIR_BITS, 0), QIR_PLANES, tables + i * panel)
#define QIR_SECOND(i) QIR_SUM_OF_PLANES(QIR_FEW(w + i * panel, QIR_BITS, 1), QIR_PLANES, tables + i * panel + 32)
#elif QIR_BITS < 8
#define QIR_FIRST(i) QIR_FEW(w + i * panel, QIR_BITS, 0)
#define QIR_SECOND(i) QIR_FEW(w + i * panel, QIR_BITS, 1)
#else
#define QIR_FIRST(i) QIR_WEIGHTS(w + i * panel)
#define QIR_SECOND(i) QIR_WEIGHTS(w + i * panel + QIR_NEXT_VECTOR)
#endif
#if QIR_WIDTH == 16
#define QIR_BEGIN(i) QIR_VECTOR a##i = QIR_START_AT(bias + 16 * i);
#define QIR_STEP(i) QIR_AHEAD(i) QIR_DOT(a##i, codes, QIR_FIRST(i));
#define QIR_RUNS QIR_RUNS1
#define QIR_RUNS_END QIR_RUNS1_END
#define QIR_FINISH(i) a##i = QIR_WHOLE(a##i, bias + 16 * i);
#define QIR_END_1 QIR_FOUR(QIR_REAL(a0, 0), QIR_REAL(a0, 0), QIR_REAL(a0, 0), QIR_REAL(a0, 0), q, y, y, y, y);
#define QIR_END_4 QIR_ROW(QIR_REAL(a0, 0), QIR_REAL(a1, 16), QIR_REAL(a2, 32), QIR_REAL(a3, 48), q, y);
#else
#define QIR_BEGIN(i) QIR_VECTOR a##i = QIR_START_AT(bias + 16 * i), b##i = QIR_START_AT(bias + 16 * i + 8);
#define QIR_STEP(i)                                   \
    QIR_AHEAD(i)                                      \
    QIR_DOT(a##i, codes, QIR_FIRST(i));               \
    QIR_DOT(b##i, codes, QIR_SECOND(i));
#define QIR_RUNS QIR_RUNS2
#define QIR_RUNS_END QIR_RUNS2_END
#define QIR_FINISH(i) a##i = QIR_WHOLE(a##i, bias + 16 * i), b##i = QIR_WHOLE(b##i, bias + 16 * i + 8);
#define QIR_END_1 QIR_PAIR(QIR_REAL(a0, 0), QIR_REAL(b0, 8), QIR_REAL(a0, 0), QIR_REAL(b0, 8), q, y, y);
#define QIR_END_4                                                                           \
    QIR_ROW(QIR_REAL(a0, 0), QIR_REAL(b0, 8), QIR_REAL(a1, 16), QIR_REAL(b1, 24), q, y);    \
    QIR_ROW(QIR_REAL(a2, 32), QIR_REAL(b2, 40), QIR_REAL(a3, 48), QIR_REAL(b3, 56), q, y + 32);
#endif
#if QIR_SPARSE
/* One panel: of its steps those that are listed, four by four with sums of their own. */
#if QIR_WIDTH == 16
#define QIR_NONE(i) QIR_VECTOR a##i = QIR_SPREAD(0);
#define QIR_DOTS(i) QIR_DOT(a##i, codes, QIR_WEIGHTS(w + (i) * QIR_STEP_BYTES));
#define QIR_TOTAL(from) a0 = QIR_ADD(QIR_LOAD(from), QIR_ADD(QIR_ADD(a0, a1), QIR_ADD(a2, a3)));
#else
#define QIR_NONE(i) QIR_VECTOR a##i = QIR_SPREAD(0), b##i = QIR_SPREAD(0);
#define QIR_DOTS(i)                                                              \
    QIR_DOT(a##i, codes, QIR_WEIGHTS(w + (i) * QIR_STEP_BYTES));                 \
    QIR_DOT(b##i, codes, QIR_WEIGHTS(w + (i) * QIR_STEP_BYTES + QIR_NEXT_VECTOR));
#define QIR_TOTAL(from)                                                            \
    a0 = QIR_ADD(QIR_LOAD(from), QIR_ADD(QIR_ADD(a0, a1), QIR_ADD(a2, a3)));       \
    b0 = QIR_ADD(QIR_LOAD((from) + 8), QIR_ADD(QIR_ADD(b0, b1), QIR_ADD(b2, b3)));
#endif
#define QIR_LISTED(i)                                                            \
    {                                                                            \
        const QIR_VECTOR codes = QIR_SPREAD(qir_four_bytes(x + 4 * taken[i]));   \
        QIR_DOTS(i)                                                              \
    }
QIR_TARGET QIR_ALONE static void qir_gemm_u8s8_row_T_sparse(const qir_requant *requant, int32_t steps,
                                                            const uint16_t *taken, const uint8_t *x, const int8_t *w,
                                                            const int32_t *bias, const float *multiplier, QIR_Y *y) {
    const QIR_REQUANT q = QIR_WIDEN_REQUANT(requant);
    QIR_EACH_4(QIR_NONE)
    for (; steps >= 4; steps -= 4, taken += 4, w += 4 * QIR_STEP_BYTES) {
        QIR_EACH_4(QIR_LISTED)
    }
    for (; steps > 0; --steps, ++taken, w += QIR_STEP_BYTES) {
        QIR_LISTED(0)
    }
    QIR_TOTAL(bias)
    QIR_END_1
}
#undef QIR_NONE
#undef QIR_DOTS
#undef QIR_TOTAL
#undef QIR_LISTED
#else
#define QIR_PANELS(n)                                                                                           \
    QIR_TARGET QIR_ALONE static void qir_gemm_u8s8_row_T_by##n(                                                 \
        const qir_requant *requant, int32_t steps, const uint8_t *x, int32_t offset, const QIR_W *w,            \
        const int32_t *bias, const float *multiplier, QIR_Y *y) {                                               \
        const ptrdiff_t panel = QIR_TABLE + (ptrdiff_t)steps * (QIR_STEP_BYTES * QIR_BITS / 8);                 \
        const QIR_VECTOR less = QIR_SPREAD(offset);                                                             \
        const QIR_W *const tables = w;                                                                          \
        QIR_REQUANT q;                                                                                          \
        w += QIR_TABLE;                                                                                         \
        QIR_EACH_##n(QIR_BEGIN) QIR_RUNS(n, QIR_RUN) do {                                                        \
            const QIR_VECTOR codes = QIR_SPREAD(qir_four_bytes(x));                                             \
            QIR_EACH_##n(QIR_STEP) x += 4, w += QIR_STEP_BYTES * QIR_BITS / 8;                                  \
        } while (--steps); QIR_RUNS_END(n)                                                                      \
        q = QIR_WIDEN_REQUANT(requant);                                                                         \
        QIR_EACH_##n(QIR_FINISH) QIR_END_##n (void)panel, (void)less, (void)tables;                             \
    }
QIR_PANELS(1) QIR_PANELS(4)
#undef QIR_PANELS
#endif
#undef QIR_REAL
#undef QIR_START_AT
#undef QIR_FIRST
#undef QIR_SECOND
#undef QIR_AHEAD
#undef QIR_WHOLE
#undef QIR_BEGIN
#undef QIR_STEP
#undef QIR_RUNS
#undef QIR_RUNS_END
#undef QIR_FINISH
#undef QIR_END_1
#undef QIR_END_4

#if QIR_BITS < 8 && !QIR_PLANES
/* Sum of a row's codes. */
QIR_TARGET static int32_t qir_gemm_u8s8_row_T_sum(const uint8_t *x, int32_t depth) {
    __m256i sums = _mm256_setzero_si256();
    int64_t four[4];
    int32_t rest = 0, k;
    for (k = 0; k + 32 <= depth; k += 32) {
        const __m256i codes = _mm256_loadu_si256((const __m256i *)(const void *)(x + k));
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(codes, _mm256_setzero_si256()));
    }
    for (; k < depth; ++k) {
        rest += x[k];
    }
    _mm256_storeu_si256((__m256i *)(void *)four, sums);
    return (int32_t)(four[0] + four[1] + four[2] + four[3]) + rest;
}
#endif

/* A row in steps of four bytes, the last one filled up: as it is, or copied. */
QIR_TARGET static const uint8_t *qir_gemm_u8s8_row_T_steps(const uint8_t *x, int32_t depth, void *room) {
#if QIR_CODES == 2
    int16_t *const words = (int16_t *)room;
    int32_t k;
    for (k = 0; k < depth; ++k) {
        words[k] = x[k];
    }
    words[depth] = 0;
#else
    if (depth % 4 == 0) {
        return x;
    }
    memset((uint8_t *)room + depth / 4 * 4, 0, 4);
    memcpy(room, x, (size_t)depth);
#endif
    return (const uint8_t *)room;
}

/* Rows one by one, for a few of them. Weights: [panel of 16 columns][step][column][codes of a step], zeros where there is
   no column or code; bias and multiplier: [panel][column]. Of sparse weights only the steps stand there that are not zero
   for all 16 columns; first_step: how many there are before each panel, and in all; taken: their numbers. room: for the codes of a row and three more. */
QIR_TARGET
void qir_gemm_u8s8_row_T__x86(const qir_gemm_u8_shape *s, const uint8_t *QIR_RESTRICT x, const QIR_W *QIR_RESTRICT w,
                              const int32_t *QIR_RESTRICT bias, const float *QIR_RESTRICT multiplier,
                              QIR_TAKEN_STEPS void *QIR_RESTRICT room, QIR_Y *QIR_RESTRICT y) {
    #if !QIR_SPARSE
    const int32_t steps = (s->depth + QIR_CODES - 1) / QIR_CODES;
    const ptrdiff_t panel = QIR_TABLE + (ptrdiff_t)steps * (QIR_STEP_BYTES * QIR_BITS / 8);
    #endif
    int32_t row, column;
    for (row = 0; row < s->rows; ++row, x += s->depth, y += s->columns) {
        const uint8_t *const codes = qir_gemm_u8s8_row_T_steps(x, s->depth, room);
        #if QIR_SPARSE
        const int32_t *first = first_step;
        #elif QIR_BITS < 8 && !QIR_PLANES
        const int32_t offset = -qir_gemm_u8s8_row_T_sum(x, s->depth) * (1 << (QIR_BITS - 1));
        #else
        const int32_t offset = 0;
        #endif
        column = 0;
        #if !QIR_SPARSE
        for (; column + 64 <= s->columns; column += 64) {
            qir_gemm_u8s8_row_T_by4(&s->requant, steps, codes, offset, w + column / 16 * panel, bias + column,
                                         multiplier + column, y + column);
        }
        #endif
        for (; column < s->columns; column += 16) {
            QIR_Y part[16];
            const int32_t whole = column + 16 <= s->columns;
            #if QIR_SPARSE
            qir_gemm_u8s8_row_T_sparse(&s->requant, first[1] - first[0], taken + first[0], codes,
                                       w + (ptrdiff_t)first[0] * QIR_STEP_BYTES, bias + column, multiplier + column,
                                       whole ? y + column : part);
            ++first;
            #else
            qir_gemm_u8s8_row_T_by1(&s->requant, steps, codes, offset, w + column / 16 * panel, bias + column,
                                         multiplier + column, whole ? y + column : part);
            #endif
            if (!whole) {
                QIR_PART(part, s->columns - column, y + column);
            }
        }
    }
}
