#include "../../runtime/qir_avx512.h"
#include "gemm_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_FOUR qir_avx512_four_u8
#define QIR_ROW qir_avx512_row_u8
#define QIR_PART qir_avx512_part_u8
/* template: end */

/* Step k of a row: four codes in every lane, zeros beyond the last. */
QIR_AVX512VNNI static QIR_INLINE __m512i qir_gemm_u8s8_row_T_avx512_codes(const uint8_t *x, int32_t depth, int32_t k) {
    int32_t codes = 0;
    memcpy(&codes, x + 4 * k, (size_t)(depth - 4 * k));
    return _mm512_set1_epi32(codes);
}

/* Sixteen columns times `panels` of one row: four sums hide the latency of vpdpbusd, one is what is left over. */
#define QIR_BEGIN(i) __m512i a##i = _mm512_loadu_si512(bias + 16 * i);
#define QIR_STEP(i) QIR_DOT4(a##i, codes, _mm512_loadu_si512(w + i * panel));
#define QIR_END_1 QIR_FOUR(a0, a0, a0, a0, _mm512_loadu_ps(multiplier), q, y, y, y, y);
#define QIR_END_4 QIR_ROW(a0, a1, a2, a3, multiplier, q, y);
#define QIR_PANELS(n)                                                                                                \
    QIR_AVX512VNNI QIR_ALONE static void qir_gemm_u8s8_row_T_avx512_by##n(                                           \
        const qir_gemm_u8_shape *s, const uint8_t *x, const int8_t *w, const int32_t *bias, const float *multiplier, \
        QIR_Y *y) {                                                                                                  \
        const int32_t steps = s->depth / 4;                                                                          \
        const ptrdiff_t panel = (ptrdiff_t)(s->depth + 3) / 4 * 64;                                                  \
        const qir_requant16 q = qir_widen_requant16(&s->requant);                                                    \
        int32_t k;                                                                                                   \
        QIR_EACH_##n(QIR_BEGIN) for (k = 0; k < steps; ++k, w += 64) {                                               \
            const __m512i codes = _mm512_set1_epi32(qir_four_bytes(x + 4 * k));                                      \
            QIR_EACH_##n(QIR_STEP)                                                                                   \
        }                                                                                                            \
        if (s->depth % 4) {                                                                                          \
            const __m512i codes = qir_gemm_u8s8_row_T_avx512_codes(x, s->depth, steps);                              \
            QIR_EACH_##n(QIR_STEP)                                                                                   \
        }                                                                                                            \
        QIR_END_##n                                                                                                  \
    }
QIR_PANELS(1) QIR_PANELS(4)
#undef QIR_BEGIN
#undef QIR_STEP
#undef QIR_END_1
#undef QIR_END_4
#undef QIR_PANELS

/* Rows one by one, for a few of them. Weights: [panel of 16 columns][step][column][4], zeros where there is no column
   or code; bias and multiplier: [panel][column]. */
void qir_gemm_u8s8_row_T__avx512vnni(const qir_gemm_u8_shape *s, const uint8_t *QIR_RESTRICT x,
                                     const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                     const float *QIR_RESTRICT multiplier, QIR_Y *QIR_RESTRICT y) {
    const ptrdiff_t panel = (ptrdiff_t)(s->depth + 3) / 4 * 64;
    int32_t row, column;
    for (row = 0; row < s->rows; ++row, x += s->depth, y += s->columns) {
        for (column = 0; column + 64 <= s->columns; column += 64) {
            qir_gemm_u8s8_row_T_avx512_by4(s, x, w + column / 16 * panel, bias + column, multiplier + column,
                                           y + column);
        }
        for (; column < s->columns; column += 16) {
            const int8_t *const from = w + column / 16 * panel;
            if (column + 16 <= s->columns) {
                qir_gemm_u8s8_row_T_avx512_by1(s, x, from, bias + column, multiplier + column, y + column);
            } else {
                QIR_Y part[16];
                qir_gemm_u8s8_row_T_avx512_by1(s, x, from, bias + column, multiplier + column, part);
                QIR_PART(part, 16, 1, s->columns - column, y + column, 0);
            }
        }
    }
}
