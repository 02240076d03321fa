#include "resize.h"

/* template: begin */
#define QIR_STORED (float)acc
#define QIR_T float
#define QIR_W float
/* template: end */

/* Sixteen neighbours along the innermost axis share the weights of their taps. */
void qir_resize_weighted_T__portable(const qir_resize_shape *s, const int32_t *place, const QIR_W *weight, QIR_T outside,
                                     const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y) {
    const int32_t second = s->out[0] * s->taps[0], third = second + s->out[1] * s->taps[1];
    int32_t o, a, b, c, first, t, u, v, i;
    for (o = 0; o < s->outer; ++o, x += s->sample) {
        for (a = 0; a < s->out[0]; ++a) {
            for (b = 0; b < s->out[1]; ++b) {
                for (c = 0; c < s->out[2]; ++c, y += s->inner) {
                    const int32_t p = a * s->taps[0], q = second + b * s->taps[1], r = third + c * s->taps[2];
                    const int inside = place[p] >= 0 && place[q] >= 0 && place[r] >= 0;
                    for (first = 0; first < s->inner; first += 16) {
                        const int32_t width = s->inner - first < 16 ? s->inner - first : 16;
                        QIR_W sum[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
                        for (t = 0; inside && t < s->taps[0]; ++t) {
                            for (u = 0; u < s->taps[1]; ++u) {
                                const QIR_W part = weight[p + t] * weight[q + u];
                                for (v = 0; v < s->taps[2]; ++v) {
                                    const QIR_W w = part * weight[r + v];
                                    const QIR_T *const from =
                                        x + ((ptrdiff_t)place[p + t] + place[q + u] + place[r + v] + first);
                                    for (i = 0; i < width; ++i) {
                                        sum[i] += w * (QIR_W)from[i];
                                    }
                                }
                            }
                        }
                        for (i = 0; i < width; ++i) {
                            const QIR_W acc = sum[i];
                            y[first + i] = inside ? (QIR_T)(QIR_STORED) : outside;
                        }
                    }
                }
            }
        }
    }
}
