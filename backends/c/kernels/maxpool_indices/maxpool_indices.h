/* Largest element under a window and where it lies, and the way back; 1 to 3 spatial axes, ONNX's own layout.

   maxpool:   y[n, c, o] = max over taps inside the input of x[n, c, .]; the first of equal ones counts;
              index = (n * C + c) * D * H * W + position, row by row (storage_order 0) or column by column (1).
              A window that meets no input gives 0 and index 0.
   maxunpool: y = 0 but for y[index[i]] = x[i], where the index counts in the shape that the pool came from, whose corner
              coincides with y's. Indices outside that shape are left out. */
#ifndef QIR_MAXPOOL_INDICES_H
#define QIR_MAXPOOL_INDICES_H

#include "../../runtime/qir_window.h"

typedef struct {
    int32_t planes;  /* batch * channels */
    int32_t from[3]; /* spatial sizes that indices count in */
    int32_t to[3];   /* spatial sizes of y */
} qir_maxunpool_shape;

#endif
