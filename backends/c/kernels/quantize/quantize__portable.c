#include "quantize.h"

/* template: begin */
#define QIR_Y uint8_t
/* template: end */

void qir_quantize_f32_T__portable(const qir_requant *q, float scale, size_t count, const float *QIR_RESTRICT x,
                                  QIR_Y *QIR_RESTRICT y) {
    size_t i;
    for (i = 0; i < count; ++i) {
        y[i] = (QIR_Y)qir_code(x[i] / scale, q);
    }
}
