#include "gather.h"

/* template: begin */
#define QIR_I int64_t
/* template: end */

void qir_gather_I__portable(size_t outer, int32_t size, size_t count, size_t bytes, const void *x, const QIR_I *indices,
                            void *QIR_RESTRICT y) {
    const uint8_t *from = (const uint8_t *)x;
    uint8_t *to = (uint8_t *)y;
    size_t o, k;
    for (o = 0; o < outer; ++o) {
        for (k = 0; k < count; ++k) {
            (void)memcpy(to, from + (size_t)qir_index(indices[k], size) * bytes, bytes);
            to += bytes;
        }
        from += (size_t)size * bytes;
    }
}
