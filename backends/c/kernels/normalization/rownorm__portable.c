#include "normalization.h"

#include <math.h>

/* template: begin */
#define QIR_T float
#define QIR_SQRT sqrtf
/* template: end */

/* Sum of x - shift, or of its squares. */
static QIR_T qir_rownorm_T_sum(const QIR_T *x, int32_t size, QIR_T shift, int32_t squares) {
    QIR_T part[8] = {0}, sum = 0;
    int32_t k, j;
    for (k = 0; k + 8 <= size; k += 8) {
        if (squares) {
            for (j = 0; j < 8; ++j) {
                part[j] += (x[k + j] - shift) * (x[k + j] - shift);
            }
        } else {
            for (j = 0; j < 8; ++j) {
                part[j] += x[k + j];
            }
        }
    }
    for (j = 0; k + j < size; ++j) {
        part[j] += squares ? (x[k + j] - shift) * (x[k + j] - shift) : x[k + j];
    }
    for (j = 0; j < 8; ++j) {
        sum += part[j];
    }
    return sum;
}

/* means and inverses: one QIR_T a row each. centred: 1 for layer, 0 for RMS normalization. */
void qir_rownorm_T__portable(int32_t rows, int32_t size, int32_t centred, double epsilon, const QIR_T *x,
                             const QIR_T *scale, const QIR_T *bias, QIR_T *y, void *means, void *inverses) {
    QIR_T *const mean = (QIR_T *)means, *const inverse = (QIR_T *)inverses;
    int32_t row, j;
    for (row = 0; row < rows; ++row, x += size, y += size) {
        const QIR_T m = centred ? qir_rownorm_T_sum(x, size, 0, 0) / (QIR_T)size : 0;
        const QIR_T v = qir_rownorm_T_sum(x, size, m, 1) / (QIR_T)size;
        const QIR_T factor = (QIR_T)1 / QIR_SQRT(v + (QIR_T)epsilon);
        mean[row] = m;
        inverse[row] = factor;
        for (j = 0; j < size; ++j) {
            y[j] = (x[j] - m) * factor * scale[j] + bias[j];
        }
    }
}
