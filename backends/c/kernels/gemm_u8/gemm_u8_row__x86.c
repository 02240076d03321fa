#include "gemm_u8.h"

/* template: begin */
#include "../../runtime/qir_x86_words.h"
/* template: end */

/* Sixteen columns times `panels` of one row, all of it reading of weights: four panels are four streams through memory,
   and their sums hide the latency of an instruction; one panel is what is left over. A panel is one vector or two. */
#define QIR_REAL(sums, at) QIR_SCALED(sums, QIR_LOAD_REALS(multiplier + at))
#if QIR_WIDTH == 16
#define QIR_BEGIN(i) QIR_VECTOR a##i = QIR_LOAD(bias + 16 * i);
#define QIR_STEP(i) QIR_DOT(a##i, codes, QIR_WEIGHTS(w + i * panel));
#define QIR_END_1 QIR_FOUR(QIR_REAL(a0, 0), QIR_REAL(a0, 0), QIR_REAL(a0, 0), QIR_REAL(a0, 0), q, y, y, y, y);
#define QIR_END_4 QIR_ROW(QIR_REAL(a0, 0), QIR_REAL(a1, 16), QIR_REAL(a2, 32), QIR_REAL(a3, 48), q, y);
#else
#define QIR_BEGIN(i) QIR_VECTOR a##i = QIR_LOAD(bias + 16 * i), b##i = QIR_LOAD(bias + 16 * i + 8);
#define QIR_STEP(i)                                  \
    QIR_DOT(a##i, codes, QIR_WEIGHTS(w + i * panel)); \
    QIR_DOT(b##i, codes, QIR_WEIGHTS(w + i * panel + QIR_NEXT_VECTOR));
#define QIR_END_1 QIR_PAIR(QIR_REAL(a0, 0), QIR_REAL(b0, 8), QIR_REAL(a0, 0), QIR_REAL(b0, 8), q, y, y);
#define QIR_END_4                                                                           \
    QIR_ROW(QIR_REAL(a0, 0), QIR_REAL(b0, 8), QIR_REAL(a1, 16), QIR_REAL(b1, 24), q, y);    \
    QIR_ROW(QIR_REAL(a2, 32), QIR_REAL(b2, 40), QIR_REAL(a3, 48), QIR_REAL(b3, 56), q, y + 32);
#endif
#define QIR_PANELS(n)                                                                                               \
    QIR_TARGET QIR_ALONE static void qir_gemm_u8s8_row_T_by##n(                                                \
        const qir_requant *requant, int32_t steps, const uint8_t *x, const int8_t *w, const int32_t *bias,          \
        const float *multiplier, QIR_Y *y) {                                                                        \
        const ptrdiff_t panel = (ptrdiff_t)steps * QIR_STEP_BYTES;                                                  \
        QIR_REQUANT q;                                                                                              \
        QIR_EACH_##n(QIR_BEGIN) do {                                                                                \
            const QIR_VECTOR codes = QIR_SPREAD(qir_four_bytes(x));                                                 \
            QIR_EACH_##n(QIR_STEP) x += 4, w += QIR_STEP_BYTES;                                                     \
        } while (--steps);                                                                                          \
        q = QIR_WIDEN_REQUANT(requant);                                                                             \
        QIR_END_##n (void)panel;                                                                                    \
    }
QIR_PANELS(1) QIR_PANELS(4)
#undef QIR_REAL
#undef QIR_BEGIN
#undef QIR_STEP
#undef QIR_END_1
#undef QIR_END_4
#undef QIR_PANELS

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
   no column or code; bias and multiplier: [panel][column]. room: for the codes of a row and three more. */
QIR_TARGET
void qir_gemm_u8s8_row_T__x86(const qir_gemm_u8_shape *s, const uint8_t *QIR_RESTRICT x, const int8_t *QIR_RESTRICT w,
                              const int32_t *QIR_RESTRICT bias, const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT room,
                              QIR_Y *QIR_RESTRICT y) {
    const int32_t steps = (s->depth + QIR_CODES - 1) / QIR_CODES;
    const ptrdiff_t panel = (ptrdiff_t)steps * QIR_STEP_BYTES;
    int32_t row, column;
    for (row = 0; row < s->rows; ++row, x += s->depth, y += s->columns) {
        const uint8_t *const codes = qir_gemm_u8s8_row_T_steps(x, s->depth, room);
        for (column = 0; column + 64 <= s->columns; column += 64) {
            qir_gemm_u8s8_row_T_by4(&s->requant, steps, codes, w + column / 16 * panel, bias + column,
                                         multiplier + column, y + column);
        }
        for (; column < s->columns; column += 16) {
            QIR_Y part[16];
            const int32_t whole = column + 16 <= s->columns;
            qir_gemm_u8s8_row_T_by1(&s->requant, steps, codes, w + column / 16 * panel, bias + column,
                                         multiplier + column, whole ? y + column : part);
            if (!whole) {
                QIR_PART(part, s->columns - column, y + column);
            }
        }
    }
}
