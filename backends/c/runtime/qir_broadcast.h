/* Loops over two operands that broadcast: six axes, outermost first, strides in elements, 0 where an operand repeats. */
#ifndef QIR_BROADCAST_H
#define QIR_BROADCAST_H

#include "qir_runtime.h"

typedef struct {
    int32_t size[6];
    int32_t a_stride[6];
    int32_t b_stride[6];
} qir_broadcast;

/* Number of rows: the product of all sizes but the innermost. */
static inline int32_t qir_broadcast_rows(const qir_broadcast *s) {
    return s->size[0] * s->size[1] * s->size[2] * s->size[3] * s->size[4];
}

/* Where a row starts in both operands. */
static inline void qir_broadcast_row(const qir_broadcast *s, int32_t row, ptrdiff_t *a, ptrdiff_t *b) {
    int32_t axis;
    *a = 0;
    *b = 0;
    for (axis = 4; axis >= 0; --axis) {
        const int32_t i = row % s->size[axis];
        row /= s->size[axis];
        *a += (ptrdiff_t)i * s->a_stride[axis];
        *b += (ptrdiff_t)i * s->b_stride[axis];
    }
}

#endif
