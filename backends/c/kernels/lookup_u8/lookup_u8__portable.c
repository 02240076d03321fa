#include "lookup_u8.h"

/* template: begin */
#define QIR_Y uint8_t
/* template: end */

void qir_lookup_u8_T__portable(size_t count, const uint8_t *x, const QIR_Y *table, QIR_Y *y) {
    size_t i;
    for (i = 0; i < count; ++i) {
        y[i] = table[x[i]];
    }
}
