/* Averages and norms of floats under a window, 1 to 3 spatial axes.

   form 0: y = (sum of x) / count         count: taps inside the input, or inside its padding where that counts
   form 1: y = sum of |x|
   form 2: y = sqrt(sum of x * x)
   form 3: y = (sum of |x|^p)^(1 / p)
   form 4: y = largest x

   over the taps inside the input, row by row, ascending, each step rounded. Layouts: x and y [N, D, H, W, C]. */
#ifndef QIR_POOL_F32_H
#define QIR_POOL_F32_H

#include "../../runtime/qir_window.h"

typedef struct {
    qir_window window;
    int32_t channels;
    int32_t form;
    int32_t p;
    int32_t counts_padding;
    int32_t counted_end[3]; /* where the padding that counts ends */
} qir_pool_f32_shape;

#endif
