#include "../../runtime/qir_f32_functions.h"
#include "unary.h"

/* template: begin */
#define QIR_EXPRESSION QIR_PICK(QIR_LESS(v, zero), QIR_MUL(QIR_ALL(alpha), v), v)
#define QIR_PARAMETERS , float alpha
#define QIR_NUMBERS , alpha
/* template: end */

QIR_ISA static QIR_INLINE QIR_VF qir_unary_f32_of(QIR_VF v QIR_PARAMETERS) {
    const QIR_VF zero = QIR_ALL(0.0f), half = QIR_ALL(0.5f), one = QIR_ALL(1.0f);
    (void)zero, (void)half, (void)one;
    return QIR_EXPRESSION;
}

QIR_ISA
void qir_unary_f32__vectors(size_t count, const float *x, float *y QIR_PARAMETERS) {
    size_t i;
    for (i = 0; i + QIR_WIDTH <= count; i += QIR_WIDTH) {
        QIR_STORE(y + i, qir_unary_f32_of(QIR_LOAD(x + i) QIR_NUMBERS));
    }
    if (i < count) {
        const int32_t left = (int32_t)(count - i);
        QIR_STORE_PART(y + i, left, qir_unary_f32_of(QIR_LOAD_PART(x + i, left) QIR_NUMBERS));
    }
}
