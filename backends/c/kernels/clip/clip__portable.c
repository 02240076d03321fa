#include "clip.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_clip_T__portable(size_t count, const QIR_T *low, const QIR_T *high, const QIR_T *x, QIR_T *y) {
    const QIR_T least = *low, most = *high;
    size_t i;
    for (i = 0; i < count; ++i) {
        const QIR_T v = x[i] < least ? least : x[i];
        y[i] = v > most ? most : v;
    }
}
