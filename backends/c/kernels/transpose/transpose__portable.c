#include "transpose.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_transpose_T__portable(const qir_transpose_shape *s, const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y) {
    int32_t a, b, c, d, e, f;
    for (a = 0; a < s->size[0]; ++a) {
        for (b = 0; b < s->size[1]; ++b) {
            for (c = 0; c < s->size[2]; ++c) {
                for (d = 0; d < s->size[3]; ++d) {
                    const QIR_T *const base = x + (ptrdiff_t)a * s->stride[0] + (ptrdiff_t)b * s->stride[1] +
                                              (ptrdiff_t)c * s->stride[2] + (ptrdiff_t)d * s->stride[3];
                    for (e = 0; e < s->size[4]; ++e) {
                        const QIR_T *const from = base + (ptrdiff_t)e * s->stride[4];
                        for (f = 0; f < s->size[5]; ++f) {
                            *y++ = from[(ptrdiff_t)f * s->stride[5]];
                        }
                    }
                }
            }
        }
    }
}
