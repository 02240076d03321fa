#include "topk.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_topk_T__portable(int32_t outer, int32_t size, int32_t inner, int32_t k, int32_t largest,
                          const QIR_T *QIR_RESTRICT x, void *values, void *indices) {
    QIR_T *best = (QIR_T *)values;
    int64_t *at = (int64_t *)indices;
    int32_t o, i, e;
    for (o = 0; o < outer; ++o, x += (ptrdiff_t)size * inner, best += (ptrdiff_t)k * inner, at += (ptrdiff_t)k * inner) {
        for (i = 0; i < inner; ++i) {
            int32_t count = 0;
            for (e = 0; e < size; ++e) {
                const QIR_T v = x[(ptrdiff_t)e * inner + i];
                ptrdiff_t place = count;
                while (place > 0) {
                    const QIR_T other = best[(place - 1) * inner + i];
                    if (!(largest ? v > other : v < other)) {
                        break;
                    }
                    if (place < k) {
                        best[place * inner + i] = other;
                        at[place * inner + i] = at[(place - 1) * inner + i];
                    }
                    --place;
                }
                if (place < k) {
                    best[place * inner + i] = v;
                    at[place * inner + i] = e;
                }
                count += count < k ? 1 : 0;
            }
        }
    }
}
