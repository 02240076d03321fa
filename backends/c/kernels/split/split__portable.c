#include "split.h"

/* template: begin */
#define QIR_PARAMETERS void *y0, void *y1
#define QIR_LIST y0, y1
#define QIR_COUNT 2
/* template: end */

void qir_split_N__portable(size_t outer, const uint32_t *bytes, const void *x, QIR_PARAMETERS) {
    void *const parts[QIR_COUNT] = {QIR_LIST};
    const uint8_t *from = (const uint8_t *)x;
    size_t o;
    int32_t k;
    for (o = 0; o < outer; ++o) {
        for (k = 0; k < QIR_COUNT; ++k) {
            (void)memcpy((uint8_t *)parts[k] + o * bytes[k], from, bytes[k]);
            from += bytes[k];
        }
    }
}
