#include "variadic.h"

/* template: begin */
#define QIR_EXPRESSION va + vb
#define QIR_FINISH va
#define QIR_PARAMETERS const float *x0, const float *x1
#define QIR_LIST x0, x1
#define QIR_COUNT 2
#define QIR_T float
/* template: end */

void qir_variadic_T__portable(const qir_variadic_shape *s, const int32_t *stride, QIR_T *y, QIR_PARAMETERS) {
    const QIR_T *const from[QIR_COUNT] = {QIR_LIST};
    const int32_t rows = s->size[0] * s->size[1] * s->size[2] * s->size[3] * s->size[4];
    int32_t row, i, k;
    for (row = 0; row < rows; ++row, y += s->size[5]) {
        for (k = 0; k < QIR_COUNT; ++k) {
            const int32_t *const step = stride + 6 * k;
            const QIR_T *x = from[k];
            int32_t axis, left = row;
            for (axis = 4; axis >= 0; --axis) {
                x += (ptrdiff_t)(left % s->size[axis]) * step[axis];
                left /= s->size[axis];
            }
            if (k == 0) {
                for (i = 0; i < s->size[5]; ++i) {
                    y[i] = x[(ptrdiff_t)i * step[5]];
                }
            } else {
                for (i = 0; i < s->size[5]; ++i) {
                    const QIR_T va = y[i], vb = x[(ptrdiff_t)i * step[5]];
                    y[i] = (QIR_T)(QIR_EXPRESSION);
                }
            }
        }
        for (i = 0; i < s->size[5]; ++i) {
            const QIR_T va = y[i];
            y[i] = (QIR_T)(QIR_FINISH);
        }
    }
}
