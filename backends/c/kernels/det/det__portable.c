#include "det.h"

#include <math.h>

/* template: begin */
#define QIR_T float
#define QIR_FABS fabsf
/* template: end */

/* scratch: [n, n]. */
void qir_det_T__portable(int32_t count, int32_t n, const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y, void *scratch) {
    QIR_T *const m = (QIR_T *)scratch;
    int32_t i, column, row, k;
    for (i = 0; i < count; ++i, x += (ptrdiff_t)n * n) {
        QIR_T product = 1;
        (void)memcpy(m, x, (size_t)n * (size_t)n * sizeof(QIR_T));
        for (column = 0; column < n; ++column) {
            QIR_T *const head = m + (ptrdiff_t)column * n;
            int32_t best = column;
            for (row = column + 1; row < n; ++row) {
                if (QIR_FABS(m[(ptrdiff_t)row * n + column]) > QIR_FABS(m[(ptrdiff_t)best * n + column])) {
                    best = row;
                }
            }
            if (best != column) {
                for (k = column; k < n; ++k) {
                    const QIR_T other = head[k];
                    head[k] = m[(ptrdiff_t)best * n + k];
                    m[(ptrdiff_t)best * n + k] = other;
                }
                product = -product;
            }
            product *= head[column];
            if (!(QIR_FABS(head[column]) > 0)) {
                break;
            }
            for (row = column + 1; row < n; ++row) {
                QIR_T *const line = m + (ptrdiff_t)row * n;
                const QIR_T factor = line[column] / head[column];
                for (k = column + 1; k < n; ++k) {
                    line[k] -= factor * head[k];
                }
            }
        }
        y[i] = product;
    }
}
