#include "concat.h"

/* template: begin */
#define QIR_PARAMETERS const void *x0, const void *x1
#define QIR_LIST x0, x1
#define QIR_COUNT 2
/* template: end */

void qir_concat_N__portable(size_t outer, const uint32_t *bytes, void *QIR_RESTRICT y, QIR_PARAMETERS) {
    const void *const parts[QIR_COUNT] = {QIR_LIST};
    uint8_t *to = (uint8_t *)y;
    size_t o;
    int32_t k;
    for (o = 0; o < outer; ++o) {
        for (k = 0; k < QIR_COUNT; ++k) {
            (void)memcpy(to, (const uint8_t *)parts[k] + o * bytes[k], bytes[k]);
            to += bytes[k];
        }
    }
}
