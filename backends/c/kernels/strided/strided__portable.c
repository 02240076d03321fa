#include "strided.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_strided_T__portable(const qir_strided_shape *s, const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y) {
    const int32_t inner = s->size[7], step = s->stride[7];
    int32_t rows = 1, row, axis, i;
    for (axis = 0; axis < 7; ++axis) {
        rows *= s->size[axis];
    }
    for (row = 0; row < rows; ++row, y += inner) {
        ptrdiff_t place = s->offset;
        int32_t left = row;
        for (axis = 6; axis >= 0; --axis) {
            place += (ptrdiff_t)(left % s->size[axis]) * s->stride[axis];
            left /= s->size[axis];
        }
        if (step == 1) {
            memcpy(y, x + place, (size_t)inner * sizeof(QIR_T));
        } else {
            for (i = 0; i < inner; ++i) {
                y[i] = x[place + (ptrdiff_t)i * step];
            }
        }
    }
}
