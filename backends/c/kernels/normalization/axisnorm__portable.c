#include "normalization.h"

#include <math.h>

/* template: begin */
#define QIR_T float
#define QIR_SQRT sqrtf
/* template: end */

/* Offset of element i, counted row by row over six axes. */
static ptrdiff_t qir_axisnorm_T_offset(const int32_t *size, const int32_t *stride, int32_t i) {
    ptrdiff_t offset = 0;
    int32_t axis;
    for (axis = 5; axis >= 0; --axis) {
        offset += (ptrdiff_t)(i % size[axis]) * stride[axis];
        i /= size[axis];
    }
    return offset;
}

static int32_t qir_axisnorm_T_count(const int32_t *size) {
    return size[0] * size[1] * size[2] * size[3] * size[4] * size[5];
}

void qir_axisnorm_T__portable(const qir_axisnorm_shape *s, const QIR_T *x, QIR_T *y) {
    const int32_t kept = qir_axisnorm_T_count(s->kept), count = qir_axisnorm_T_count(s->reduced);
    int32_t k, i;
    for (k = 0; k < kept; ++k) {
        const ptrdiff_t start = qir_axisnorm_T_offset(s->kept, s->kept_stride, k);
        QIR_T mean = 0, squares = 0;
        for (i = 0; i < count; ++i) {
            mean += x[start + qir_axisnorm_T_offset(s->reduced, s->reduced_stride, i)];
        }
        mean /= (QIR_T)count;
        for (i = 0; i < count; ++i) {
            const QIR_T d = x[start + qir_axisnorm_T_offset(s->reduced, s->reduced_stride, i)] - mean;
            squares += d * d;
        }
        squares = QIR_SQRT(squares / (QIR_T)count) + (QIR_T)1e-9;
        for (i = 0; i < count; ++i) {
            const ptrdiff_t at = start + qir_axisnorm_T_offset(s->reduced, s->reduced_stride, i);
            y[at] = (x[at] - mean) / squares;
        }
    }
}
