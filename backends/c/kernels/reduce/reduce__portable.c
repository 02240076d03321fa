#include "reduce.h"

/* template: begin */
#define QIR_X float
#define QIR_Y float
#define QIR_ACC float
#define QIR_INITIAL 0
#define QIR_STEP acc + v
#define QIR_FINISH acc
/* template: end */

void qir_reduce_T__portable(const qir_reduce_shape *s, const QIR_X *QIR_RESTRICT x, QIR_Y *QIR_RESTRICT y) {
    const int32_t total = s->kept[0] * s->kept[1] * s->kept[2] * s->kept[3] * s->kept[4] * s->kept[5];
    const int32_t inner = s->reduced[5], outer = inner ? s->count / inner : 0;
    int32_t i, j, k;
    for (i = 0; i < total; ++i) {
        const QIR_X *const start = x + qir_reduce_offset(s->kept, s->kept_stride, i);
        QIR_ACC acc = (QIR_ACC)(QIR_INITIAL);
        for (j = 0; j < outer; ++j) {
            const QIR_X *const from = start + qir_reduce_offset(s->reduced, s->reduced_stride, j * inner);
            for (k = 0; k < inner; ++k) {
                const QIR_X v = from[(ptrdiff_t)k * s->reduced_stride[5]];
                acc = (QIR_ACC)(QIR_STEP);
            }
        }
        y[i] = (QIR_Y)(QIR_FINISH);
    }
}
