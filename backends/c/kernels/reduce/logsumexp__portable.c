#include "reduce.h"

/* template: begin */
#define QIR_X float
#define QIR_Y float
#define QIR_ACC float
#define QIR_EXP expf
#define QIR_LOG logf
/* template: end */

/* log(sum exp(v)) = m + log(sum exp(v - m)) with the largest element m, so that nothing overflows. */
void qir_logsumexp_T__portable(const qir_reduce_shape *s, const QIR_X *QIR_RESTRICT x, QIR_Y *QIR_RESTRICT y) {
    const int32_t total = s->kept[0] * s->kept[1] * s->kept[2] * s->kept[3] * s->kept[4] * s->kept[5];
    int32_t i, j;
    for (i = 0; i < total; ++i) {
        const QIR_X *const start = x + qir_reduce_offset(s->kept, s->kept_stride, i);
        QIR_ACC most = -(QIR_ACC)INFINITY, acc = 0;
        for (j = 0; j < s->count; ++j) {
            const QIR_ACC v = (QIR_ACC)start[qir_reduce_offset(s->reduced, s->reduced_stride, j)];
            most = v > most || v != v ? v : most;
        }
        if (most - most == 0) {
            for (j = 0; j < s->count; ++j) {
                acc += QIR_EXP((QIR_ACC)start[qir_reduce_offset(s->reduced, s->reduced_stride, j)] - most);
            }
            most += QIR_LOG(acc);
        }
        y[i] = (QIR_Y)most;
    }
}
