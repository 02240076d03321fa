#include "strided.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_strided_T__portable(const qir_strided *s, const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y) {
    const int32_t rows = qir_strided_rows(s, 1), size = s->size[7], step = s->stride[7];
    qir_strided_row at = qir_strided_first(s);
    int32_t row, i;
    for (row = 0; row < rows; ++row, y += size) {
        const QIR_T *const from = x + at.start;
        if (step == 1) {
            (void)memcpy(y, from, (size_t)size * sizeof(QIR_T));
        } else {
            for (i = 0; i < size; ++i) {
                y[i] = from[(ptrdiff_t)i * step];
            }
        }
        qir_strided_next(s, 1, &at);
    }
}
