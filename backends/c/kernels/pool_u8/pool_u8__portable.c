#include "pool_u8.h"

/* template: begin */
#define QIR_X uint8_t
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
#define QIR_QUOTIENT QIR_FLOAT_QUOTIENT
/* template: end */

void qir_pool_u8_T__portable(const qir_pool_u8_shape *s, const QIR_X *QIR_RESTRICT x, QIR_Y *QIR_RESTRICT y) {
    const int32_t channels = s->channels, pixels = qir_pixels(&s->window);
    int32_t pixel, first;
    for (pixel = 0; pixel < pixels; ++pixel) {
        qir_taps t;
        float multiplier;
        qir_find_taps(&s->window, pixel, &t);
        multiplier = QIR_QUOTIENT(s->multiplier, qir_pool_u8_count(s, &t));
        for (first = 0; first < channels; first += 16) {
            const int32_t width = channels - first < 16 ? channels - first : 16;
            int32_t acc[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
            int32_t a, b, c, j;
            for (a = t.first[0]; a < t.last[0]; ++a) {
                for (b = t.first[1]; b < t.last[1]; ++b) {
                    for (c = t.first[2]; c < t.last[2]; ++c) {
                        const QIR_X *const from = x + qir_under_tap(&s->window, &t, a, b, c) * channels + first;
                        QIR_LANES
                        for (j = 0; j < width; ++j) {
                            acc[j] += from[j] - s->x_zero_point;
                        }
                    }
                }
            }
            QIR_LANES
            for (j = 0; j < width; ++j) {
                QIR_STORE(acc[j], multiplier, &s->requant, y++);
            }
        }
    }
}
