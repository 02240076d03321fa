#include "one_hot.h"

/* template: begin */
#define QIR_WHOLE (int64_t)v
#define QIR_I int64_t
#define QIR_T float
/* template: end */

void qir_one_hot_IT__portable(size_t outer, int32_t depth, size_t inner, const QIR_I *indices, const QIR_T *values,
                              QIR_T *QIR_RESTRICT y) {
    size_t o, i;
    int32_t d;
    for (o = 0; o < outer; ++o, indices += inner) {
        for (d = 0; d < depth; ++d) {
            for (i = 0; i < inner; ++i) {
                const QIR_I v = indices[i];
                *y++ = values[qir_index_inside(QIR_WHOLE, depth) == d];
            }
        }
    }
}
