#include "gather_nd.h"

/* template: begin */
#define QIR_I int64_t
/* template: end */

void qir_gather_nd_I__portable(size_t batch, size_t count, int32_t depth, const int32_t *size, size_t bytes,
                               const void *x, const QIR_I *indices, void *QIR_RESTRICT y) {
    const uint8_t *from = (const uint8_t *)x;
    uint8_t *to = (uint8_t *)y;
    size_t sample = bytes, b, k;
    int32_t axis;
    for (axis = 0; axis < depth; ++axis) {
        sample *= (size_t)size[axis];
    }
    for (b = 0; b < batch; ++b, from += sample) {
        for (k = 0; k < count; ++k) {
            size_t place = 0;
            for (axis = 0; axis < depth; ++axis) {
                place = place * (size_t)size[axis] + (size_t)qir_index(*indices++, size[axis]);
            }
            (void)memcpy(to, from + place * bytes, bytes);
            to += bytes;
        }
    }
}
