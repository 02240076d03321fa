#include "softmax_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
#define QIR_QUOTIENT QIR_FLOAT_QUOTIENT
/* template: end */

/* y may share the bytes of x: the sum of a row is known before the first of it is written. */
void qir_softmax_u8_T__portable(const qir_softmax_u8_shape *s, const int32_t *table, const uint8_t *x, QIR_Y *y) {
    int32_t row, i;
    for (row = 0; row < s->rows; ++row, x += s->size, y += s->size) {
        int64_t sum = 0;
        int32_t most = 0;
        float multiplier;
        for (i = 0; i < s->size; ++i) {
            most = x[i] > most ? x[i] : most;
        }
        for (i = 0; i < s->size; ++i) {
            sum += table[most - x[i]];
        }
        multiplier = QIR_QUOTIENT(s->multiplier, sum);
        for (i = 0; i < s->size; ++i) {
            QIR_STORE(table[most - x[i]], multiplier, &s->requant, y + i);
        }
    }
}
