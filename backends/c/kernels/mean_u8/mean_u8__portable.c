#include "mean_u8.h"

/* template: begin */
#define QIR_X uint8_t
#define QIR_Y uint8_t
#define QIR_STORE qir_store_u8
/* template: end */

/* Sixteen neighbours along the innermost kept axis are summed at once. */
void qir_mean_u8_T__portable(const qir_mean_u8_shape *s, const QIR_X *QIR_RESTRICT x, QIR_Y *QIR_RESTRICT y) {
    const int32_t rows = qir_mean_u8_rows(s->kept), sums = qir_mean_u8_rows(s->reduced);
    const int32_t step = s->kept_stride[5];
    int32_t row, first, outer, inner, j;
    for (row = 0; row < rows; ++row) {
        const QIR_X *const start = x + qir_mean_u8_offset(s->kept, s->kept_stride, row);
        for (first = 0; first < s->kept[5]; first += 16) {
            const int32_t width = s->kept[5] - first < 16 ? s->kept[5] - first : 16;
            int32_t acc[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
            for (outer = 0; outer < sums; ++outer) {
                const QIR_X *from =
                    start + (ptrdiff_t)first * step + qir_mean_u8_offset(s->reduced, s->reduced_stride, outer);
                for (inner = 0; inner < s->reduced[5]; ++inner, from += s->reduced_stride[5]) {
                    QIR_LANES
                    for (j = 0; j < width; ++j) {
                        acc[j] += from[(ptrdiff_t)j * step] - s->x_zero_point;
                    }
                }
            }
            QIR_LANES
            for (j = 0; j < width; ++j) {
                QIR_STORE(acc[j], s->multiplier, &s->requant, y++);
            }
        }
    }
}
