#include "normalization.h"

#include <math.h>

/* template: begin */
#include "../../runtime/qir_f32_words.h"
/* template: end */

/* Sum of x, and of the squares of x - shift: lane l adds elements l, l + QIR_WIDTH, ... ascending, and the lanes are added at
   the end. */
QIR_ISA static float qir_rownorm_f32_sum(const float *x, int32_t size) {
    QIR_VF sum = QIR_ALL(0.0f);
    int32_t k;
    for (k = 0; k + QIR_WIDTH <= size; k += QIR_WIDTH) {
        sum = QIR_ADD(sum, QIR_LOAD(x + k));
    }
    if (k < size) {
        sum = QIR_ADD(sum, QIR_PART(QIR_LOAD_PART(x + k, size - k), size - k, QIR_ALL(0.0f)));
    }
    return QIR_SUM(sum);
}

QIR_ISA static float qir_rownorm_f32_squares(const float *x, int32_t size, float shift) {
    const QIR_VF middle = QIR_ALL(shift);
    QIR_VF sum = QIR_ALL(0.0f);
    int32_t k;
    for (k = 0; k + QIR_WIDTH <= size; k += QIR_WIDTH) {
        const QIR_VF d = QIR_SUB(QIR_LOAD(x + k), middle);
        sum = QIR_FMA(d, d, sum);
    }
    if (k < size) {
        const QIR_VF d = QIR_PART(QIR_SUB(QIR_LOAD_PART(x + k, size - k), middle), size - k, QIR_ALL(0.0f));
        sum = QIR_FMA(d, d, sum);
    }
    return QIR_SUM(sum);
}

QIR_ISA static void qir_rownorm_f32_scale(const float *x, int32_t size, float shift, float scale, const float *factors,
                                          const float *bias, float *y) {
    const QIR_VF middle = QIR_ALL(shift), factor = QIR_ALL(scale);
    int32_t k;
    for (k = 0; k + QIR_WIDTH <= size; k += QIR_WIDTH) {
        const QIR_VF v = QIR_MUL(QIR_SUB(QIR_LOAD(x + k), middle), factor);
        QIR_STORE(y + k, QIR_FMA(v, QIR_LOAD(factors + k), QIR_LOAD(bias + k)));
    }
    if (k < size) {
        const int32_t left = size - k;
        const QIR_VF v = QIR_MUL(QIR_SUB(QIR_LOAD_PART(x + k, left), middle), factor);
        QIR_STORE_PART(y + k, left, QIR_FMA(v, QIR_LOAD_PART(factors + k, left), QIR_LOAD_PART(bias + k, left)));
    }
}

/* means and inverses: one float a row each. centred: 1 for layer, 0 for RMS normalization. */
void qir_rownorm_f32__vectors(int32_t rows, int32_t size, int32_t centred, double epsilon, const float *x,
                              const float *scale, const float *bias, float *y, void *means, void *inverses) {
    float *const mean = (float *)means, *const inverse = (float *)inverses;
    int32_t row;
    for (row = 0; row < rows; ++row, x += size, y += size) {
        const float m = centred ? qir_rownorm_f32_sum(x, size) / (float)size : 0.0f;
        const float factor = 1.0f / sqrtf(qir_rownorm_f32_squares(x, size, m) / (float)size + (float)epsilon);
        mean[row] = m;
        inverse[row] = factor;
        qir_rownorm_f32_scale(x, size, m, factor, scale, bias, y);
    }
}
