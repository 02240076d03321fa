#include "conv_bits_pixel.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_LAST float
#define QIR_BIASED 1
#define QIR_BIAS const int32_t *QIR_RESTRICT bias,
#define QIR_STORE qir_store_u8
#define QIR_FINISH qir_conv_bits_T_codes
/* template: end */

static inline QIR_Y *qir_conv_bits_T_codes(const qir_conv_bits_shape *s, const int32_t *QIR_RESTRICT sums,
                                           const float *QIR_RESTRICT multiplier, QIR_Y *QIR_RESTRICT y) {
    int32_t m;
    for (m = 0; m < s->outputs; ++m) {
        QIR_STORE(sums[m], multiplier[m], &s->requant, y + m);
    }
    return y + s->outputs;
}

/* Weights: [output][plane][words]; where `offset` is not 0 and x has one plane, the only plane is met by exclusive or.
   outside: [tap][output]. scratch holds a window's rows of words and a pixel's sums. */
void qir_conv_bits_T__portable(const qir_conv_bits_shape *s, const uint8_t *QIR_RESTRICT x,
                               const uint64_t *QIR_RESTRICT w, QIR_BIAS const int32_t *QIR_RESTRICT outside,
                               const QIR_LAST *QIR_RESTRICT last,
                               void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    const int32_t pixels = qir_pixels(&s->window), words = s->words;
    const int binary = s->offset != 0 && s->planes == 1;
    uint64_t *const row = (uint64_t *)scratch;
    int32_t *const sums = (int32_t *)(row + (ptrdiff_t)s->planes * words);
    int32_t pixel, m, i, j, word;
    for (pixel = 0; pixel < pixels; ++pixel) {
        const uint64_t *from = w;
        int32_t ones;
        qir_taps t;
        qir_find_taps(&s->window, pixel, &t);
        ones = qir_bits_window(s, x, &t, s->offset != 0 && !binary, row);
        for (m = 0; m < s->outputs; ++m) {
            int32_t sum = s->offset * ones;
            for (j = 0; j < s->w_planes; ++j, from += words) {
                for (i = 0; i < s->planes; ++i) {
                    const uint64_t *const bits = row + (ptrdiff_t)i * words;
                    int32_t count = 0;
                    if (binary) {
                        for (word = 0; word < words; ++word) {
                            count += qir_ones(bits[word] ^ from[word]);
                        }
                        sum -= count;
                    } else {
                        for (word = 0; word < words; ++word) {
                            count += qir_ones(bits[word] & from[word]);
                        }
                        sum += s->value[j] * (count << i);
                    }
                }
            }
            #if QIR_BIASED
            sums[m] = bias[m] + s->step * sum;
            #else
            sums[m] = s->step * sum;
            #endif
        }
        if (s->padded) {
            qir_bits_outside(s, outside, &t, sums);
        }
        y = QIR_FINISH(s, sums, last, y);
    }
}
