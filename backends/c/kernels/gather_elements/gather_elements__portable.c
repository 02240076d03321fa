#include "gather_elements.h"

/* template: begin */
#define QIR_I int64_t
#define QIR_T float
/* template: end */

void qir_gather_elements_IT__portable(const qir_elements_shape *s, const QIR_T *QIR_RESTRICT x, const QIR_I *indices,
                                      QIR_T *QIR_RESTRICT y) {
    const int32_t total = s->size[0] * s->size[1] * s->size[2] * s->size[3] * s->size[4] * s->size[5];
    int32_t i;
    for (i = 0; i < total; ++i) {
        y[i] = x[qir_elements_place(s, i) + (ptrdiff_t)qir_index(indices[i], s->axis_size) * s->step];
    }
}
