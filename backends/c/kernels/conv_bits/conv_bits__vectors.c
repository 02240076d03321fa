#include "conv_bits_vectors.h"

/* template: begin */
#include "conv_bits_words.h"
/* template: end */

/* Weights: [panel of channels][plane][step][channel][bytes of a step], zeros where there is no channel or bit; `bias`
   and `last` filled up to qir_bits_pitch channels, with thresholds that nothing reaches. Pixels are taken by fours, then
   one by one. scratch holds the windows of four pixels, the same as arranged, in up to twice the bytes, their
   sums, and zeros in place of a bias. */
QIR_TARGET
void qir_conv_bits_T__vectors(const qir_conv_bits_shape *s, const uint8_t *QIR_RESTRICT x,
                              const uint8_t *QIR_RESTRICT w, QIR_BIAS const int32_t *QIR_RESTRICT outside,
                              const QIR_LAST *QIR_RESTRICT last,
                              void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    const int32_t pixels = qir_pixels(&s->window), planes = s->planes, words = s->words;
    const int32_t *const kernel = s->window.kernel;
    const int32_t steps = (kernel[0] * kernel[1] * kernel[2] * s->bytes + QIR_STEP - 1) / QIR_STEP;
    const int binary = s->offset != 0 && planes == 1, counted = s->offset != 0 && !binary;
    const ptrdiff_t pitch = qir_bits_pitch(s);
    uint64_t *const rows = (uint64_t *)scratch;
    int32_t *const sums = (int32_t *)(void *)(rows + (ptrdiff_t)12 * planes * words);
    int32_t pixel, count, i, j, m;
    qir_bits_count now;
    #if !QIR_BIASED
    int32_t *const bias = sums + 4 * pitch;
    (void)memset(bias, 0, (size_t)pitch * sizeof(int32_t));
    #endif
    now.steps = steps;
    now.pitch = pitch;
    for (pixel = 0; pixel < pixels; pixel += count) {
        const uint8_t *from = w;
        qir_bits_rows arranged;
        qir_taps taps[4];
        count = pixels - pixel < 4 ? 1 : 4;
        for (i = 0; i < count; ++i) {
            int32_t ones;
            qir_find_taps(&s->window, pixel + i, &taps[i]);
            ones = qir_bits_window(s, x, &taps[i], counted, rows + (ptrdiff_t)i * planes * words);
            for (m = 0; counted && m < pitch; ++m) {
                sums[i * pitch + m] = bias[m] + s->step * s->offset * ones;
            }
        }
        arranged = QIR_ARRANGED((const uint8_t *)rows, count, planes, (ptrdiff_t)words * 8,
                                (uint8_t *)(rows + (ptrdiff_t)4 * planes * words));
        now.row = arranged.row;
        for (m = 0; m < s->outputs; m += QIR_PANEL) {
            now.start = counted ? sums + m : bias + m;
            now.step = counted ? pitch : 0;
            for (j = 0; j < s->w_planes; ++j, from += (ptrdiff_t)steps * QIR_STEP * QIR_PANEL) {
                for (i = 0; i < planes; ++i) {
                    now.x = arranged.x + i * arranged.plane;
                    now.factor = binary ? -s->step : s->step * s->value[j] * (1 << i);
                    if (count == 1) {
                        QIR_COUNT_ONE(&now, from, sums + m);
                    } else {
                        QIR_COUNT_FOUR(&now, from, sums + m);
                    }
                    now.start = sums + m;
                    now.step = pitch;
                }
            }
        }
        for (i = 0; i < count; ++i) {
            if (s->padded) {
                qir_bits_outside(s, outside, &taps[i], sums + i * pitch);
            }
            y = QIR_FINISH(s, sums + i * pitch, last, y);
        }
    }
}
