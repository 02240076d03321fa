#include "affine_grid.h"

/* template: begin */
#define QIR_T float
/* template: end */

static QIR_T qir_affine_grid_T_coordinate(int32_t i, int32_t n, int32_t aligned) {
    if (aligned) {
        return n > 1 ? (QIR_T)(2 * i) / (QIR_T)(n - 1) - 1 : (QIR_T)-1;
    }
    return (QIR_T)(2 * i + 1) / (QIR_T)n - 1;
}

void qir_affine_grid_T__portable(int32_t batch, int32_t depth, int32_t height, int32_t width, int32_t axes,
                                 int32_t aligned, const QIR_T *QIR_RESTRICT theta, QIR_T *QIR_RESTRICT y) {
    int32_t n, a, b, c, i, k;
    for (n = 0; n < batch; ++n, theta += (ptrdiff_t)axes * (axes + 1)) {
        for (a = 0; a < depth; ++a) {
            for (b = 0; b < height; ++b) {
                for (c = 0; c < width; ++c) {
                    QIR_T at[3];
                    at[0] = qir_affine_grid_T_coordinate(c, width, aligned);
                    at[1] = qir_affine_grid_T_coordinate(b, height, aligned);
                    at[2] = qir_affine_grid_T_coordinate(a, depth, aligned);
                    for (i = 0; i < axes; ++i) {
                        const QIR_T *const row = theta + (ptrdiff_t)i * (axes + 1);
                        QIR_T sum = 0;
                        for (k = 0; k < axes; ++k) {
                            sum += row[k] * at[k];
                        }
                        *y++ = sum + row[axes];
                    }
                }
            }
        }
    }
}
