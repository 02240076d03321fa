#include "../../runtime/qir_dsp.h"
#include "gemm_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE4 qir_dsp_store4_bytes
/* template: end */

/* Weights: [four columns][four codes][even, odd][two columns] words, see qir_dsp_one_by_four, zeros where there is no column
   or code; bias and multiplier: [four columns][4]. */
void qir_gemm_u8s8_row_T__dsp(const qir_gemm_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                              const uint32_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                              const float *QIR_RESTRICT multiplier, QIR_Y *QIR_RESTRICT y) {
    const int32_t whole = s->depth / 4 * 4, rest = s->depth - whole;
    const qir_dsp_requant q = qir_dsp_widen_requant(&s->requant);
    int32_t row, column;
    for (row = 0; row < s->rows; ++row, x += s->depth, y += s->columns) {
        const uint32_t *words = w;
        uint8_t last[4] = {0, 0, 0, 0};
        memcpy(last, x + whole, (size_t)rest);
        for (column = 0; column < s->columns; column += 4) {
            const int32_t *sums_of = bias + column;
            int32_t sums[4];
            if (whole) {
                qir_dsp_one_by_four(x, words, x + whole, sums_of, sums);
                words += whole;
                sums_of = sums;
            }
            if (rest) {
                qir_dsp_one_by_four(last, words, last + 4, sums_of, sums);
                words += 4;
            }
            if (s->columns - column >= 4) {
                QIR_STORE4(sums, multiplier + column, &q, y + column);
            } else {
                QIR_Y part[4];
                QIR_STORE4(sums, multiplier + column, &q, part);
                memcpy(y + column, part, (size_t)(s->columns - column) * sizeof(QIR_Y));
            }
        }
    }
}
