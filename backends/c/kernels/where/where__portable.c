#include "where.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_where_T__portable(const qir_where_shape *s, const uint8_t *choice, const QIR_T *a, const QIR_T *b, QIR_T *y) {
    const int32_t rows = s->size[0] * s->size[1] * s->size[2] * s->size[3] * s->size[4];
    const ptrdiff_t choice_step = s->choice_stride[5], a_step = s->a_stride[5], b_step = s->b_stride[5];
    int32_t row, i;
    for (row = 0; row < rows; ++row) {
        ptrdiff_t choice_start = 0, a_start = 0, b_start = 0;
        int32_t axis, left = row;
        for (axis = 4; axis >= 0; --axis) {
            const ptrdiff_t place = left % s->size[axis];
            left /= s->size[axis];
            choice_start += place * s->choice_stride[axis];
            a_start += place * s->a_stride[axis];
            b_start += place * s->b_stride[axis];
        }
        for (i = 0; i < s->size[5]; ++i) {
            *y++ = choice[choice_start + i * choice_step] ? a[a_start + i * a_step] : b[b_start + i * b_step];
        }
    }
}
