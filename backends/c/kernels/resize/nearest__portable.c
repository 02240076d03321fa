#include "resize.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_resize_nearest_T__portable(const qir_resize_shape *s, const int32_t *place, QIR_T outside,
                                    const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y) {
    const int32_t *const second = place + s->out[0], *const third = second + s->out[1];
    int32_t o, a, b, c, i;
    for (o = 0; o < s->outer; ++o, x += s->sample) {
        for (a = 0; a < s->out[0]; ++a) {
            for (b = 0; b < s->out[1]; ++b) {
                for (c = 0; c < s->out[2]; ++c, y += s->inner) {
                    const int inside = place[a] >= 0 && second[b] >= 0 && third[c] >= 0;
                    const ptrdiff_t from = inside ? (ptrdiff_t)place[a] + second[b] + third[c] : 0;
                    if (inside) {
                        for (i = 0; i < s->inner; ++i) {
                            y[i] = x[from + i];
                        }
                    } else {
                        for (i = 0; i < s->inner; ++i) {
                            y[i] = outside;
                        }
                    }
                }
            }
        }
    }
}
