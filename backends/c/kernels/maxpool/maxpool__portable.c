#include "maxpool.h"

/* template: begin */
#define QIR_T uint8_t
/* template: end */

/* The first tap is copied, the others raise it. */
void qir_maxpool_T__portable(const qir_maxpool_shape *shape, const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y) {
    const qir_window *const w = &shape->window;
    const int32_t pixels = qir_pixels(w), channels = shape->channels;
    int32_t pixel;
    for (pixel = 0; pixel < pixels; ++pixel, y += channels) {
        int32_t a, b, c, j, seen = 0;
        qir_taps t;
        qir_find_taps(w, pixel, &t);
        for (a = t.first[0]; a < t.last[0]; ++a) {
            for (b = t.first[1]; b < t.last[1]; ++b) {
                for (c = t.first[2]; c < t.last[2]; ++c) {
                    const QIR_T *const from = x + qir_under_tap(w, &t, a, b, c) * channels;
                    if (seen) {
                        for (j = 0; j < channels; ++j) {
                            y[j] = from[j] > y[j] ? from[j] : y[j];
                        }
                    } else {
                        (void)memcpy(y, from, (size_t)channels * sizeof(QIR_T));
                        seen = 1;
                    }
                }
            }
        }
        if (!seen) {
            (void)memset(y, 0, (size_t)channels * sizeof(QIR_T));
        }
    }
}
