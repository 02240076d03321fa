#include "cumsum.h"

/* template: begin */
#define QIR_T float
#define QIR_ACC float
#define QIR_START 0
#define QIR_STEP +=
/* template: end */

/* QIR_ACC is QIR_T itself for floats, and for integers the unsigned type of its width, which wraps. */
void qir_cumsum_T__portable(int32_t outer, int32_t size, int32_t inner, int32_t exclusive, int32_t backward,
                            const QIR_T *x, QIR_T *y) {
    int32_t o, i, k;
    for (o = 0; o < outer; ++o) {
        for (i = 0; i < inner; ++i) {
            QIR_ACC total = QIR_START;
            for (k = 0; k < size; ++k) {
                const ptrdiff_t at = ((ptrdiff_t)o * size + (backward ? size - 1 - k : k)) * inner + i;
                const QIR_ACC v = (QIR_ACC)x[at];
                if (exclusive) {
                    y[at] = (QIR_T)total;
                    total QIR_STEP v;
                } else {
                    total QIR_STEP v;
                    y[at] = (QIR_T)total;
                }
            }
        }
    }
}
