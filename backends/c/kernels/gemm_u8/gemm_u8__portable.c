#include "../../runtime/qir_dot.h"
#include "gemm_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
#define QIR_X uint8_t
#define QIR_WIDEN qir_widen
#define QIR_ACC int32_t
#define QIR_W int8_t
#define QIR_ROWS 2
#define QIR_MOST_ROWS 2
#define QIR_LINE qir_line_s8
#define QIR_DOT qir_dot_rows
/* template: end */

/* Weights: [columns] rows of QIR_LINE bytes: [depth] codes. scratch holds QIR_ROWS rows of int16 [depth]: rows go by as
   many, columns by sixteen. */
void qir_gemm_u8s8_T__portable(const qir_gemm_u8_shape *s, const QIR_X *QIR_RESTRICT x,
                               const QIR_W *QIR_RESTRICT w, const QIR_ACC *QIR_RESTRICT bias,
                               const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT scratch,
                               QIR_Y *QIR_RESTRICT y) {
    const int32_t depth = s->depth, columns = s->columns;
    int16_t *const wide = (int16_t *)scratch;
    int32_t row, column, i, j;
    for (row = 0; row < s->rows; row += QIR_ROWS) {
        const int32_t rows = s->rows - row < QIR_ROWS ? s->rows - row : QIR_ROWS;
        QIR_WIDEN(x + (ptrdiff_t)row * depth, 0, rows * depth, wide);
        for (column = 0; column < columns; column += 16) {
            const int32_t width = columns - column < 16 ? columns - column : 16;
            QIR_ACC acc[16 * QIR_MOST_ROWS];
            QIR_DOT(wide, rows, w + column * QIR_LINE(depth), depth, width, acc);
            for (i = 0; i < rows; ++i) {
                QIR_Y *const to = y + (ptrdiff_t)(row + i) * columns + column;
                QIR_LANES
                for (j = 0; j < width; ++j) {
                    QIR_STORE(bias[column + j] + acc[i * 16 + j], multiplier[column + j], &s->requant, to + j);
                }
            }
        }
    }
}
