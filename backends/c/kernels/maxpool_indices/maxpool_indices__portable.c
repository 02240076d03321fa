#include "maxpool_indices.h"

/* template: begin */
#define QIR_T float
/* template: end */

/* w->batch counts planes: batch * channels. step: index steps along the spatial axes. */
void qir_maxpool_indices_T__portable(const qir_window *w, int32_t step0, int32_t step1, int32_t step2,
                                     const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y, int64_t *QIR_RESTRICT index) {
    const int32_t pixels = qir_pixels(w);
    const int64_t plane = (int64_t)w->in[0] * w->in[1] * w->in[2];
    int32_t pixel;
    for (pixel = 0; pixel < pixels; ++pixel) {
        int32_t a, b, c, seen = 0;
        int64_t at = 0;
        QIR_T best = 0;
        qir_taps t;
        qir_find_taps(w, pixel, &t);
        for (a = t.first[0]; a < t.last[0]; ++a) {
            for (b = t.first[1]; b < t.last[1]; ++b) {
                for (c = t.first[2]; c < t.last[2]; ++c) {
                    const QIR_T v = x[qir_under_tap(w, &t, a, b, c)];
                    if (!seen || v > best) {
                        seen = 1;
                        best = v;
                        at = t.sample * plane + (int64_t)(t.start[0] + a * w->dilation[0]) * step0 +
                             (int64_t)(t.start[1] + b * w->dilation[1]) * step1 +
                             (int64_t)(t.start[2] + c * w->dilation[2]) * step2;
                    }
                }
            }
        }
        y[pixel] = best;
        index[pixel] = at;
    }
}
