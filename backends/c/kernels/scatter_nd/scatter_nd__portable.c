#include "scatter_nd.h"

/* template: begin */
#define QIR_EXPRESSION vb
#define QIR_I int64_t
#define QIR_Y float
/* template: end */

void qir_scatter_nd_IT__portable(size_t bytes, size_t count, int32_t depth, const int32_t *size, size_t inner,
                                 const QIR_Y *x, const QIR_I *indices, const QIR_Y *updates, QIR_Y *QIR_RESTRICT y) {
    size_t k, i;
    (void)memcpy(y, x, bytes);
    for (k = 0; k < count; ++k, indices += depth, updates += inner) {
        size_t place = 0;
        int32_t axis, inside = 1;
        for (axis = 0; axis < depth; ++axis) {
            const int32_t index = qir_index_inside(indices[axis], size[axis]);
            inside &= index >= 0;
            place = place * (size_t)size[axis] + (size_t)(index < 0 ? 0 : index);
        }
        for (i = 0; inside && i < inner; ++i) {
            QIR_Y *const to = y + place * inner + i;
            const QIR_Y va = *to, vb = updates[i];
            (void)va;
            *to = (QIR_Y)(QIR_EXPRESSION);
        }
    }
}
