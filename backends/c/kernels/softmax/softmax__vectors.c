#include "../../runtime/qir_f32_functions.h"
#include "softmax.h"

#include <math.h>

/* Rows of neighbours. Lane l of the sum adds elements l, l + QIR_WIDTH, ... ascending, and the lanes are added at the end. */
QIR_ISA static void qir_softmax_f32_row(int32_t size, const float *x, float *y) {
    QIR_VF most = QIR_ALL(-INFINITY), sum = QIR_ALL(0.0f);
    int32_t k;
    for (k = 0; k + QIR_WIDTH <= size; k += QIR_WIDTH) {
        most = QIR_MAX(QIR_LOAD(x + k), most);
    }
    if (k < size) {
        most = QIR_MAX(QIR_PART(QIR_LOAD_PART(x + k, size - k), size - k, most), most);
    }
    most = QIR_ALL(QIR_MOST(most));
    for (k = 0; k + QIR_WIDTH <= size; k += QIR_WIDTH) {
        const QIR_VF e = QIR_EXP(QIR_SUB(QIR_LOAD(x + k), most));
        QIR_STORE(y + k, e);
        sum = QIR_ADD(sum, e);
    }
    if (k < size) {
        const QIR_VF e = QIR_EXP(QIR_SUB(QIR_LOAD_PART(x + k, size - k), most));
        QIR_STORE_PART(y + k, size - k, e);
        sum = QIR_ADD(sum, QIR_PART(e, size - k, QIR_ALL(0.0f)));
    }
    sum = QIR_ALL(QIR_SUM(sum));
    for (k = 0; k + QIR_WIDTH <= size; k += QIR_WIDTH) {
        QIR_STORE(y + k, QIR_DIV(QIR_LOAD(y + k), sum));
    }
    if (k < size) {
        QIR_STORE_PART(y + k, size - k, QIR_DIV(QIR_LOAD_PART(y + k, size - k), sum));
    }
}

/* An axis whose elements lie `inner` apart, for `count` neighbours at once. */
QIR_ISA static void qir_softmax_f32_columns(int32_t size, int32_t inner, int32_t count, const float *x, float *y) {
    QIR_VF most = QIR_LOAD_PART(x, count), sum = QIR_ALL(0.0f);
    ptrdiff_t at;
    int32_t k;
    for (k = 1, at = inner; k < size; ++k, at += inner) {
        most = QIR_MAX(QIR_LOAD_PART(x + at, count), most);
    }
    for (k = 0, at = 0; k < size; ++k, at += inner) {
        const QIR_VF e = QIR_EXP(QIR_SUB(QIR_LOAD_PART(x + at, count), most));
        QIR_STORE_PART(y + at, count, e);
        sum = QIR_ADD(sum, e);
    }
    for (k = 0, at = 0; k < size; ++k, at += inner) {
        QIR_STORE_PART(y + at, count, QIR_DIV(QIR_LOAD_PART(y + at, count), sum));
    }
}

/* A NaN makes its row's sum, and so all of the row, NaN, whether or not the maximum has seen it. */
void qir_softmax_f32__vectors(int32_t outer, int32_t size, int32_t inner, const float *x, float *y) {
    int32_t o, i;
    for (o = 0; o < outer; ++o, x += (ptrdiff_t)size * inner, y += (ptrdiff_t)size * inner) {
        if (inner == 1) {
            qir_softmax_f32_row(size, x, y);
        } else {
            for (i = 0; i < inner; i += QIR_WIDTH) {
                const int32_t count = inner - i < QIR_WIDTH ? inner - i : QIR_WIDTH;
                qir_softmax_f32_columns(size, inner, count, x + i, y + i);
            }
        }
    }
}
