#include "add_u8.h"

/* template: begin */
#define QIR_A uint8_t
#define QIR_B uint8_t
#define QIR_Y uint8_t
/* template: end */

/* One row of at most sixteen elements: all are read before any is written, so y may be a or b. */
static void qir_add_u8u8_u8_block(const qir_add_u8_numbers *n, const QIR_A *a, int32_t a_step, const QIR_B *b,
                                  int32_t b_step, int32_t width, QIR_Y *y) {
    float first[16], second[16];
    int32_t i;
    if (width == 16 && a_step == 1 && b_step == 1) {
        QIR_LANES
        for (i = 0; i < 16; ++i) {
            first[i] = (float)a[i] * n->a_multiplier;
            second[i] = (float)b[i] * n->b_multiplier;
        }
        QIR_KEEP(first);
        QIR_KEEP(second);
        QIR_LANES
        for (i = 0; i < 16; ++i) {
            y[i] = (QIR_Y)qir_code((n->offset + first[i]) + second[i], &n->requant);
        }
    } else {
        for (i = 0; i < width; ++i) {
            first[i] = (float)a[(ptrdiff_t)i * a_step] * n->a_multiplier;
            second[i] = (float)b[(ptrdiff_t)i * b_step] * n->b_multiplier;
        }
        QIR_KEEP(first);
        QIR_KEEP(second);
        for (i = 0; i < width; ++i) {
            y[i] = (QIR_Y)qir_code((n->offset + first[i]) + second[i], &n->requant);
        }
    }
}

void qir_add_u8u8_u8__portable(const qir_broadcast *s, const qir_add_u8_numbers *n, const QIR_A *a, const QIR_B *b,
                               QIR_Y *y) {
    const qir_add_u8_numbers numbers = *n;
    const int32_t rows = qir_broadcast_rows(s), size = s->size[5], a_step = s->a_stride[5], b_step = s->b_stride[5];
    int32_t row, i;
    for (row = 0; row < rows; ++row, y += size) {
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(s, row, &a_start, &b_start);
        for (i = 0; i < size; i += 16) {
            qir_add_u8u8_u8_block(&numbers, a + a_start + (ptrdiff_t)i * a_step, a_step,
                                  b + b_start + (ptrdiff_t)i * b_step, b_step, size - i < 16 ? size - i : 16, y + i);
        }
    }
}
