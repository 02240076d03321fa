#include "scatter_elements.h"

/* template: begin */
#define QIR_EXPRESSION vb
#define QIR_I int64_t
#define QIR_Y float
/* template: end */

void qir_scatter_elements_IT__portable(const qir_elements_shape *s, size_t bytes, const QIR_Y *x, const QIR_I *indices,
                                       const QIR_Y *updates, QIR_Y *QIR_RESTRICT y) {
    const int32_t total = s->size[0] * s->size[1] * s->size[2] * s->size[3] * s->size[4] * s->size[5];
    int32_t i;
    (void)memcpy(y, x, bytes);
    for (i = 0; i < total; ++i) {
        const int32_t index = qir_index_inside(indices[i], s->axis_size);
        if (index >= 0) {
            QIR_Y *const to = y + qir_elements_place(s, i) + (ptrdiff_t)index * s->step;
            const QIR_Y va = *to, vb = updates[i];
            (void)va;
            *to = (QIR_Y)(QIR_EXPRESSION);
        }
    }
}
