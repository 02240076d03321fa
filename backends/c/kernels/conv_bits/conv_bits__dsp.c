#include "conv_bits_dsp.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_LAST float
#define QIR_BIASED 1
#define QIR_BIAS const int32_t *QIR_RESTRICT bias,
#define QIR_STORE qir_store_u8
#define QIR_FINISH qir_conv_bits_T_dsp_codes
#define QIR_COUNT qir_bits_dsp_unlike
/* template: end */

static inline QIR_Y *qir_conv_bits_T_dsp_codes(const qir_conv_bits_shape *s, const int32_t *QIR_RESTRICT sums,
                                               const float *QIR_RESTRICT multiplier, QIR_Y *QIR_RESTRICT y) {
    int32_t m;
    for (m = 0; m < s->outputs; ++m) {
        QIR_STORE(sums[m], multiplier[m], &s->requant, y + m);
    }
    return y + s->outputs;
}

/* As conv_bits__portable.c. Weights: [output][plane] rows of as many words of 32 bits as the planes of a window have, which
   go by threes; s->words hold them. */
void qir_conv_bits_T__dsp(const qir_conv_bits_shape *s, const uint8_t *QIR_RESTRICT x, const uint32_t *QIR_RESTRICT w,
                          QIR_BIAS const int32_t *QIR_RESTRICT outside, const QIR_LAST *QIR_RESTRICT last,
                          void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    const int32_t pixels = qir_pixels(&s->window), words = 2 * s->words / 3 * 3;
    const int binary = s->offset != 0 && s->planes == 1;
    uint64_t *const row = (uint64_t *)scratch;
    int32_t *const sums = (int32_t *)(row + (ptrdiff_t)s->planes * s->words);
    qir_bits_dsp_rows rows;
    int32_t pixel, m, i, j;
    rows.gap = (ptrdiff_t)(s->w_planes - 1) * words * (ptrdiff_t)sizeof *w;
    rows.last = sums + s->outputs;
    (void)memset(row, 0, (size_t)(s->planes * s->words) * sizeof *row); /* what is behind the last tap stays so */
    for (pixel = 0; pixel < pixels; ++pixel) {
        int32_t ones;
        qir_taps t;
        qir_find_taps(&s->window, pixel, &t);
        ones = s->step * s->offset * qir_bits_window(s, x, &t, s->offset != 0 && !binary, row);
        for (m = 0; m < s->outputs; ++m) {
            #if QIR_BIASED
            sums[m] = bias[m] + ones;
            #else
            sums[m] = ones;
            #endif
        }
        for (j = 0; j < s->w_planes; ++j) {
            for (i = 0; i < s->planes; ++i) {
                const uint32_t *const bits = (const uint32_t *)(const void *)(row + (ptrdiff_t)i * s->words);
                rows.end = bits + words;
                rows.factor = binary ? -s->step : s->step * s->value[j] * (1 << i);
                QIR_COUNT(bits, w + (ptrdiff_t)j * words, sums, &rows);
            }
        }
        if (s->padded) {
            qir_bits_outside(s, outside, &t, sums);
        }
        y = QIR_FINISH(s, sums, last, y);
    }
}
