#include "../../runtime/qir_dsp.h"
#include "gemm_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE4 qir_dsp_store4_u8
#define QIR_RESULT QIR_DSP_REAL_WORDS
#define QIR_ONE qir_dsp_one_joined
#define QIR_ARE_JOINED 1
/* template: end */

/* Weights: [four columns][four codes][even, odd][two columns] words, zeros where there is no column or code; results: [four
   columns][QIR_RESULT]. */
void qir_gemm_u8s8_row_T__dsp(const qir_gemm_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                              const uint32_t *QIR_RESTRICT w, const uint32_t *QIR_RESTRICT results,
                              QIR_Y *QIR_RESTRICT y) {
    const int32_t whole = s->depth / 4 * 4, rest = s->depth - whole;
    const qir_dsp_requant q = qir_dsp_widen_requant(&s->requant);
    int32_t row, column;
    for (row = 0; row < s->rows; ++row, x += s->depth, y += s->columns) {
        const uint32_t *words = w, *result = results;
        uint8_t last[4] = {0, 0, 0, 0};
        memcpy(last, x + whole, (size_t)rest);
        for (column = 0; column < s->columns; column += 4, result += QIR_RESULT) {
            const void *starts = result;
            int32_t sums[4];
            if (whole) {
                QIR_ONE(x, words, x + whole, starts, sums);
                words += whole;
                starts = sums;
            }
            if (rest) {
                QIR_ONE(last, words, last + 4, starts, sums);
                words += 4;
            }
            #if QIR_ARE_JOINED
            sums[1] = (int32_t)((uint32_t)sums[1] - (uint32_t)sums[0]);
            sums[3] = (int32_t)((uint32_t)sums[3] - (uint32_t)sums[2]);
            #endif
            if (s->columns - column >= 4) {
                QIR_STORE4(sums, result, &q, y + column);
            } else {
                QIR_Y part[4];
                QIR_STORE4(sums, result, &q, part);
                memcpy(y + column, part, (size_t)(s->columns - column) * sizeof(QIR_Y));
            }
        }
    }
}
