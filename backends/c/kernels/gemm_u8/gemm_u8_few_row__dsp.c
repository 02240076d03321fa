#include "../../runtime/qir_few_dsp.h"
#include "gemm_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE4 qir_dsp_store4_u8
#define QIR_RESULT QIR_DSP_REAL_WORDS
#define QIR_PRODUCTS QIR_FEW_DSP_2_ROW
#define QIR_BITS 2
#define QIR_STEP 4
#define QIR_OFFSET 2
#define QIR_SHIFTS 0x6420u
/* template: end */

QIR_FEW_DSP_ONE(qir_gemm_u8s8_row_T_dsp_one, QIR_PRODUCTS)

/* Weights of QIR_BITS bits as qir_few_dsp.h has them: [four columns][words], depth filled up to QIR_STEP; results: [four
   columns][QIR_RESULT]. QIR_SHIFTS: s of each column, a digit of 16. */
void qir_gemm_u8s8_row_T__dsp(const qir_gemm_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                               const uint32_t *QIR_RESTRICT w, const uint32_t *QIR_RESTRICT results,
                               QIR_Y *QIR_RESTRICT y) {
    const int32_t whole = s->depth / QIR_STEP * QIR_STEP, rest = s->depth - whole;
    const qir_dsp_requant q = qir_dsp_widen_requant(&s->requant);
    int32_t row, column, i;
    for (row = 0; row < s->rows; ++row, x += s->depth, y += s->columns) {
        const uint32_t *words = w, *result = results;
        uint8_t last[QIR_STEP] = {0};
        uint32_t less = 0;
        memcpy(last, x + whole, (size_t)rest);
        for (i = 0; i < whole; i += 4) {
            less = qir_few_dsp_add(x + i, less);
        }
        for (i = 0; i < rest; ++i) {
            less += last[i];
        }
        less *= QIR_OFFSET;
        for (column = 0; column < s->columns; column += 4, result += QIR_RESULT) {
            const int32_t count = s->columns - column < 4 ? s->columns - column : 4;
            const void *starts = result;
            int32_t sums[4];
            QIR_Y part[4];
            if (whole) {
                qir_gemm_u8s8_row_T_dsp_one(x, words, x + whole, starts, sums);
                words += whole * QIR_BITS / 8;
                starts = sums;
            }
            if (rest) {
                qir_gemm_u8s8_row_T_dsp_one(last, words, last + QIR_STEP, starts, sums);
                words += QIR_STEP * QIR_BITS / 8;
            }
            for (i = 0; i < 4; ++i) {
                sums[i] = (int32_t)((uint32_t)sums[i] - (less << (QIR_SHIFTS >> (4 * i) & 15u)));
            }
            QIR_STORE4(sums, result, &q, part);
            memcpy(y + column, part, (size_t)count * sizeof(QIR_Y));
        }
    }
}
