#include "../../runtime/qir_dot.h"
#include "gemm_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
/* template: end */

/* Weights: [columns][depth]. scratch holds two rows of int16 [depth]: rows go by two, columns by four. */
void qir_gemm_u8s8_T__portable(const qir_gemm_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                               const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                               const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT scratch,
                               QIR_Y *QIR_RESTRICT y) {
    const int32_t depth = s->depth, columns = s->columns;
    int16_t *const row0 = (int16_t *)scratch, *const row1 = row0 + depth;
    int32_t row, column, i, j;
    for (row = 0; row < s->rows; row += 2) {
        const int32_t rows = s->rows - row < 2 ? 1 : 2;
        const int8_t *from = w;
        QIR_Y *const to = y + (ptrdiff_t)row * columns;
        int32_t acc[8];
        qir_widen(x + (ptrdiff_t)row * depth, 0, depth, row0);
        if (rows == 2) {
            qir_widen(x + (ptrdiff_t)(row + 1) * depth, 0, depth, row1);
        }
        for (column = 0; column + 4 <= columns; column += 4, from += (ptrdiff_t)depth * 4) {
            if (rows == 2) {
                qir_dot_2x4(row0, row1, from, depth, acc);
            } else {
                qir_dot_1x4(row0, from, depth, acc);
            }
            for (i = 0; i < rows; ++i) {
                for (j = column; j < column + 4; ++j) {
                    QIR_STORE(bias[j] + acc[i * 4 + j - column], multiplier[j], &s->requant,
                              to + (ptrdiff_t)i * columns + j);
                }
            }
        }
        for (; column < columns; ++column, from += depth) {
            QIR_STORE(bias[column] + qir_dot_1x1(row0, from, depth), multiplier[column], &s->requant, to + column);
            if (rows == 2) {
                QIR_STORE(bias[column] + qir_dot_1x1(row1, from, depth), multiplier[column], &s->requant,
                          to + columns + column);
            }
        }
    }
}
