/* A product that, in place of its codes, stores their sum with other codes, as kernels/add_u8/add_u8.h has it. */
#ifndef QIR_SUM_H
#define QIR_SUM_H

#include "qir_runtime.h"

/* In the terms of that sum, whose requantization is that of the results:

   own = (float) qir_code(sum of products * multiplier, &requant) * own_multiplier
   y = clamp(rint((offset + own) + other * other_multiplier), low, high), or with both in the other order */
typedef struct {
    float own_multiplier;
    float other_multiplier;
    float offset;
    int32_t own_first;
    qir_requant requant;
} qir_sum;

/* At most sixteen of them; `other` may be y: all are read before any is written. q is that of the results. */
static inline void qir_sum_codes(const qir_sum *s, const qir_requant *q, const uint8_t *own, const uint8_t *other,
                                 int32_t width, uint8_t *y) {
    float first[16], second[16];
    int32_t i;
    QIR_LANES
    for (i = 0; i < width; ++i) {
        const float mine = (float)own[i] * s->own_multiplier, others = (float)other[i] * s->other_multiplier;
        first[i] = s->own_first ? mine : others;
        second[i] = s->own_first ? others : mine;
    }
    QIR_KEEP(first);
    QIR_KEEP(second);
    QIR_LANES
    for (i = 0; i < width; ++i) {
        y[i] = (uint8_t)qir_code((s->offset + first[i]) + second[i], q);
    }
}

#endif
