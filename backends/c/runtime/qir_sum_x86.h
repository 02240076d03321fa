/* Sums with other codes (qir_sum.h), a vector of reals at a time. */
#ifndef QIR_SUM_X86_H
#define QIR_SUM_X86_H

#include "qir_sum.h"
#include "qir_x86.h"

/* template: begin */
#include "qir_x86_words.h"
/* template: end */

typedef struct {
    QIR_REALS low;
    QIR_REALS high;
    QIR_REALS up;   /* 1.5 * 2^23 */
    QIR_REALS down; /* the same less the zero point */
    QIR_REALS own_multiplier;
    QIR_REALS other_multiplier;
    QIR_REALS offset;
} QIR_SUM_NUMBERS;

QIR_TARGET static QIR_INLINE QIR_SUM_NUMBERS QIR_WIDEN_SUM(const qir_sum *s) {
    QIR_SUM_NUMBERS wide;
    wide.low = QIR_MM(set1_ps)((float)s->requant.low);
    wide.high = QIR_MM(set1_ps)((float)s->requant.high);
    wide.up = QIR_MM(set1_ps)(12582912.0f);
    wide.down = QIR_MM(set1_ps)(12582912.0f - (float)s->requant.zero_point);
    wide.own_multiplier = QIR_MM(set1_ps)(s->own_multiplier);
    wide.other_multiplier = QIR_MM(set1_ps)(s->other_multiplier);
    wide.offset = QIR_MM(set1_ps)(s->offset);
    return wide;
}

/* Codes are rounded as by qir_round, and stay reals: up + v is an integer, and so is what is left of it. The products
   are kept apart from the sums, lest a compiler fuse them. */
QIR_TARGET static QIR_INLINE QIR_REALS QIR_SUM(QIR_REALS real, const QIR_SUM_NUMBERS *s,
                                              const uint8_t *other, int32_t own_first) {
    const __m128i *const from = (const __m128i *)(const void *)other;
    const __m128i bytes = QIR_WIDTH == 16 ? _mm_loadu_si128(from) : _mm_loadl_epi64(from);
    const QIR_REALS clamped = QIR_MM(min_ps)(QIR_MM(max_ps)(real, s->low), s->high);
    QIR_REALS first = QIR_MM(mul_ps)(QIR_MM(sub_ps)(QIR_MM(add_ps)(clamped, s->up), s->down), s->own_multiplier);
    QIR_REALS second = QIR_MM(mul_ps)(QIR_MM(cvtepi32_ps)(QIR_MM(cvtepu8_epi32)(bytes)), s->other_multiplier);
    QIR_KEEP_PRODUCT(first);
    QIR_KEEP_PRODUCT(second);
    return own_first ? QIR_MM(add_ps)(QIR_MM(add_ps)(s->offset, first), second)
                     : QIR_MM(add_ps)(QIR_MM(add_ps)(s->offset, second), first);
}

#endif
