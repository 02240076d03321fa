#include "maxpool_indices.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_maxunpool_T__portable(const qir_maxunpool_shape *s, int32_t count, const QIR_T *QIR_RESTRICT x,
                               const int64_t *QIR_RESTRICT index, QIR_T *QIR_RESTRICT y) {
    const int64_t size = (int64_t)s->from[0] * s->from[1] * s->from[2];
    int32_t i;
    (void)memset(y, 0, (size_t)s->planes * (size_t)s->to[0] * (size_t)s->to[1] * (size_t)s->to[2] * sizeof(QIR_T));
    for (i = 0; i < count; ++i) {
        const int64_t plane = index[i] / size, position = index[i] % size;
        if (index[i] >= 0 && plane < s->planes) {
            const int64_t c = position % s->from[2], b = position / s->from[2] % s->from[1];
            const int64_t a = position / s->from[2] / s->from[1];
            if (a < s->to[0] && b < s->to[1] && c < s->to[2]) {
                y[((plane * s->to[0] + a) * s->to[1] + b) * s->to[2] + c] = x[i];
            }
        }
    }
}
