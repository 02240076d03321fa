/* Elements picked at constant distances: y[i0, .., i7] = x[offset + i0 * stride[0] + .. + i7 * stride[7]], with y
   contiguous over size[0..7]; strides count elements and may be 0 or negative. The binder derives them from shapes that
   are known, so that no place lies outside x. */
#ifndef QIR_STRIDED_H
#define QIR_STRIDED_H

#include "qir_runtime.h"

typedef struct {
    int32_t offset;
    int32_t size[8];
    int32_t stride[8];
} qir_strided;

/* The row of y that is being written: its place along the axes outside of it, and where it starts in x. */
typedef struct {
    int32_t at[8];
    ptrdiff_t start;
} qir_strided_row;

/* Number of rows, each over the innermost `inner` axes: 1, or 2 for rows that are tables. */
static inline int32_t qir_strided_rows(const qir_strided *s, int32_t inner) {
    int32_t axis, rows = 1;
    for (axis = 0; axis < 8 - inner; ++axis) {
        rows *= s->size[axis];
    }
    return rows;
}

static inline qir_strided_row qir_strided_first(const qir_strided *s) {
    qir_strided_row row;
    (void)memset(&row, 0, sizeof row);
    row.start = s->offset;
    return row;
}

/* Goes on to the next row; after the last one to the first. */
static inline void qir_strided_next(const qir_strided *s, int32_t inner, qir_strided_row *row) {
    int32_t axis;
    for (axis = 7 - inner; axis >= 0; --axis) {
        row->start += s->stride[axis];
        if (++row->at[axis] < s->size[axis]) {
            return;
        }
        row->start -= (ptrdiff_t)s->size[axis] * s->stride[axis];
        row->at[axis] = 0;
    }
}

#endif
