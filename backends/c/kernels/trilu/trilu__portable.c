#include "trilu.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_trilu_T__portable(size_t batch, int32_t rows, int32_t columns, int32_t upper, const int64_t *k, const QIR_T *x,
                           QIR_T *y) {
    /* Beyond the matrix all diagonals are alike; so bounded, sums cannot overflow. */
    const int64_t most = (int64_t)rows + columns, diagonal = *k > most ? most : *k < -most ? -most : *k;
    size_t b;
    int32_t i, j;
    for (b = 0; b < batch; ++b) {
        for (i = 0; i < rows; ++i) {
            for (j = 0; j < columns; ++j, ++x, ++y) {
                *y = (upper ? j - i >= diagonal : j - i <= diagonal) ? *x : (QIR_T)0;
            }
        }
    }
}
