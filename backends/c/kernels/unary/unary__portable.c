#include "unary.h"

/* template: begin */
#define QIR_EXPRESSION v < 0 ? alpha * v : v
#define QIR_PARAMETERS , float alpha
#define QIR_X float
#define QIR_Y float
/* template: end */

void qir_unary_T__portable(size_t count, const QIR_X *x, QIR_Y *y QIR_PARAMETERS) {
    size_t i;
    for (i = 0; i < count; ++i) {
        const QIR_X v = x[i];
        y[i] = (QIR_Y)(QIR_EXPRESSION);
    }
}
