#include "pad.h"

/* template: begin */
#define QIR_T float
/* template: end */

/* The part of a row that is inside the input is one copy. */
void qir_pad_T__portable(const qir_pad_shape *s, const QIR_T *QIR_RESTRICT x, const QIR_T *value,
                         QIR_T *QIR_RESTRICT y) {
    const int32_t inner = s->out[5], width = s->in[5], before = s->before[5];
    const int32_t first = before < 0 ? 0 : before < inner ? before : inner;
    const int32_t end = width + before < inner ? width + before : inner, last = end < first ? first : end;
    int32_t rows = 1, row, axis, i;
    for (axis = 0; axis < 5; ++axis) {
        rows *= s->out[axis];
    }
    for (row = 0; row < rows; ++row, y += inner) {
        ptrdiff_t place = 0, step = width;
        int32_t left = row, outside = 0;
        for (axis = 4; axis >= 0; --axis) {
            const int32_t source = qir_pad_source(s, axis, left % s->out[axis]);
            left /= s->out[axis];
            outside |= source < 0;
            place += source * step;
            step *= s->in[axis];
        }
        if (outside) {
            for (i = 0; i < inner; ++i) {
                y[i] = *value;
            }
            continue;
        }
        for (i = 0; i < first; ++i) {
            const int32_t source = qir_pad_source(s, 5, i);
            y[i] = source < 0 ? *value : x[place + source];
        }
        if (last > first) {
            (void)memcpy(y + first, x + place + (first - before), (size_t)(last - first) * sizeof(QIR_T));
        }
        for (i = last; i < inner; ++i) {
            const int32_t source = qir_pad_source(s, 5, i);
            y[i] = source < 0 ? *value : x[place + source];
        }
    }
}
