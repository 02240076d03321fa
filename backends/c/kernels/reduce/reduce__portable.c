#include "reduce.h"

/* template: begin */
#define QIR_X float
#define QIR_Y float
#define QIR_ACC float
#define QIR_INITIAL 0
#define QIR_STEP acc + v
#define QIR_FINISH acc
/* template: end */

/* Sixteen neighbours along the innermost kept axis are reduced at once. */
void qir_reduce_T__portable(const qir_reduce_shape *s, const QIR_X *QIR_RESTRICT x, QIR_Y *QIR_RESTRICT y) {
    const int32_t all_rows = s->kept[0] * s->kept[1] * s->kept[2] * s->kept[3] * s->kept[4];
    const int32_t rows = s->kept[5] ? all_rows : 0, step = s->kept_stride[5];
    const int32_t inner = s->reduced[5], outer = inner ? s->count / inner : 0;
    int32_t row, first, j, k, i;
    for (row = 0; row < rows; ++row) {
        const QIR_X *const start = x + qir_reduce_offset(s->kept, s->kept_stride, row * s->kept[5]);
        for (first = 0; first < s->kept[5]; first += 16) {
            const int32_t width = s->kept[5] - first < 16 ? s->kept[5] - first : 16;
            QIR_ACC all[16];
            for (i = 0; i < 16; ++i) {
                all[i] = (QIR_ACC)(QIR_INITIAL);
            }
            for (j = 0; j < outer; ++j) {
                const QIR_X *from =
                    start + (ptrdiff_t)first * step + qir_reduce_offset(s->reduced, s->reduced_stride, j * inner);
                for (k = 0; k < inner; ++k, from += s->reduced_stride[5]) {
                    if (width == 16 && step == 1) {
                        for (i = 0; i < 16; ++i) {
                            const QIR_ACC acc = all[i];
                            const QIR_X v = from[i];
                            all[i] = (QIR_ACC)(QIR_STEP);
                        }
                    } else {
                        for (i = 0; i < width; ++i) {
                            const QIR_ACC acc = all[i];
                            const QIR_X v = from[(ptrdiff_t)i * step];
                            all[i] = (QIR_ACC)(QIR_STEP);
                        }
                    }
                }
            }
            for (i = 0; i < width; ++i) {
                const QIR_ACC acc = all[i];
                *y++ = (QIR_Y)(QIR_FINISH);
            }
        }
    }
}
