#include "conv_bits_vectors.h"

/* template: begin */
#include "conv_bits_avx2.h"

#define QIR_TARGET QIR_AVX2
#define QIR_Y uint8_t
#define QIR_LAST float
#define QIR_FINISH qir_conv_bits_T_codes
#define QIR_PANEL 32
#define QIR_STEP 1
#define QIR_GROUP 32
#define QIR_ARRANGED qir_bits_avx2_arranged
#define QIR_COUNT_ONE qir_bits_avx2_xor1
#define QIR_COUNT_FOUR qir_bits_avx2_xor4
#define QIR_REQUANT qir_requant8
#define QIR_WIDEN_REQUANT qir_widen_requant8
#define QIR_ROW qir_bits_avx2_row_u8
#define QIR_REACHED qir_bits_avx2_reached
#define QIR_NUMBERS qir_bits_avx2_numbers
/* template: end */

/* What the sums of a pixel become, by groups; each returns where the next pixel's results start. */

QIR_TARGET static QIR_INLINE QIR_Y *qir_conv_bits_T_codes(const qir_conv_bits_shape *s, const int32_t *sums,
                                                          const float *multiplier, QIR_Y *y) {
    const QIR_REQUANT q = QIR_WIDEN_REQUANT(&s->requant);
    int32_t m;
    for (m = 0; m + QIR_GROUP <= s->outputs; m += QIR_GROUP) {
        QIR_ROW(sums + m, multiplier + m, q, y + m);
    }
    if (m < s->outputs) {
        QIR_Y part[QIR_GROUP];
        QIR_ROW(sums + m, multiplier + m, q, part);
        memcpy(y + m, part, (size_t)(s->outputs - m) * sizeof(QIR_Y));
    }
    return y + s->outputs;
}

QIR_TARGET static QIR_INLINE uint8_t *qir_conv_bits_T_numbers(const qir_conv_bits_shape *s, const int32_t *sums,
                                                              const int32_t *threshold, uint8_t *y) {
    const ptrdiff_t pitch = qir_bits_pitch(s);
    int32_t m;
    for (m = 0; m + QIR_GROUP <= s->outputs; m += QIR_GROUP) {
        QIR_NUMBERS(s, sums + m, threshold + m, pitch, y + m);
    }
    if (m < s->outputs) {
        uint8_t part[QIR_GROUP];
        QIR_NUMBERS(s, sums + m, threshold + m, pitch, part);
        memcpy(y + m, part, (size_t)(s->outputs - m));
    }
    return y + s->outputs;
}

/* The number of thresholds that are reached, at most three, in binary: their bits added, the carry is the high bit.
   Beyond the last channel none is. */
QIR_TARGET static QIR_INLINE uint8_t *qir_conv_bits_T_packed(const qir_conv_bits_shape *s, const int32_t *sums,
                                                             const int32_t *threshold, uint8_t *y) {
    const ptrdiff_t pitch = qir_bits_pitch(s);
    const int32_t bytes = (s->outputs + 7) / 8;
    int32_t m, level;
    for (m = 0; m < s->outputs; m += QIR_GROUP) {
        const int32_t at = m / 8, left = bytes - at, count = left < QIR_GROUP / 8 ? left : QIR_GROUP / 8;
        uint64_t low = 0, high = 0;
        for (level = 0; level < s->levels - 1; ++level) {
            const uint64_t reached = QIR_REACHED(sums + m, threshold + level * pitch + m);
            high |= low & reached;
            low ^= reached;
        }
        memcpy(y + at, &low, (size_t)count);
        if (s->y_bits == 2) {
            memcpy(y + bytes + at, &high, (size_t)count);
        }
    }
    return y + (ptrdiff_t)bytes * s->y_bits;
}

/* Weights: [panel of channels][plane][step][channel][bytes of a step], zeros where there is no channel or bit; `bias`
   and `last` filled up to qir_bits_pitch channels, with thresholds that nothing reaches. Pixels are taken by fours, then
   one by one. scratch holds the windows of four pixels, the same as arranged, in up to twice the bytes, and their
   sums. */
QIR_TARGET
void qir_conv_bits_T__vectors(const qir_conv_bits_shape *s, const uint8_t *QIR_RESTRICT x,
                              const uint8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                              const int32_t *QIR_RESTRICT outside, const QIR_LAST *QIR_RESTRICT last,
                              void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    const int32_t pixels = qir_pixels(&s->window), planes = s->planes, words = s->words;
    const int32_t *const kernel = s->window.kernel;
    const int32_t steps = (kernel[0] * kernel[1] * kernel[2] * s->bytes + QIR_STEP - 1) / QIR_STEP;
    const int binary = s->offset != 0 && planes == 1;
    const ptrdiff_t pitch = qir_bits_pitch(s);
    uint64_t *const rows = (uint64_t *)scratch;
    int32_t *const sums = (int32_t *)(void *)(rows + (ptrdiff_t)12 * planes * words);
    int32_t pixel, count, i, j, m;
    for (pixel = 0; pixel < pixels; pixel += count) {
        const uint8_t *from = w;
        qir_bits_rows arranged;
        qir_taps taps[4];
        count = pixels - pixel < 4 ? 1 : 4;
        for (i = 0; i < count; ++i) {
            int32_t ones;
            qir_find_taps(&s->window, pixel + i, &taps[i]);
            ones = qir_bits_window(s, x, &taps[i], s->offset != 0 && !binary, rows + (ptrdiff_t)i * planes * words);
            ones *= s->step * s->offset;
            for (m = 0; m < pitch; ++m) {
                sums[i * pitch + m] = bias[m] + ones;
            }
        }
        arranged = QIR_ARRANGED((const uint8_t *)rows, count, planes, (ptrdiff_t)words * 8,
                                (uint8_t *)(rows + (ptrdiff_t)4 * planes * words));
        for (m = 0; m < s->outputs; m += QIR_PANEL) {
            for (j = 0; j < s->w_planes; ++j, from += (ptrdiff_t)steps * QIR_STEP * QIR_PANEL) {
                for (i = 0; i < planes; ++i) {
                    const uint8_t *const plane = arranged.x + i * arranged.plane;
                    const int32_t factor = binary ? -s->step : s->step * s->value[j] * (1 << i);
                    if (count == 1) {
                        QIR_COUNT_ONE(plane, arranged.row, steps, from, factor, sums + m, pitch);
                    } else {
                        QIR_COUNT_FOUR(plane, arranged.row, steps, from, factor, sums + m, pitch);
                    }
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
