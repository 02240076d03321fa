#include "tensor_scatter.h"

void qir_tensor_scatter__portable(const qir_tensor_scatter_shape *s, size_t bytes, const void *x, const void *updates,
                                  const int64_t *first, void *QIR_RESTRICT y) {
    const uint8_t *from = (const uint8_t *)updates;
    uint8_t *to = (uint8_t *)y;
    int32_t b, m, t;
    (void)memcpy(y, x, (size_t)s->batch * (size_t)s->middle * (size_t)s->size * bytes);
    for (b = 0; b < s->batch; ++b) {
        for (m = 0; m < s->middle; ++m, to += (size_t)s->size * bytes) {
            for (t = 0; t < s->steps; ++t, from += bytes) {
                int64_t place = first[b] < 0 ? first[b] % s->size + s->size : first[b] % s->size;
                place = s->circular ? (place + t) % s->size : first[b] < 0 || first[b] > s->size - 1 - t ? -1 : first[b] + t;
                if (place >= 0) {
                    (void)memcpy(to + (size_t)place * bytes, from, bytes);
                }
            }
        }
    }
}
