/* Largest element under a window, 1 to 3 spatial axes: y[n, o, c] = max over taps inside the input of x[n, ., c].
   A window that meets no input gives 0. Layouts: x and y [N, D, H, W, C]. */
#ifndef QIR_MAXPOOL_H
#define QIR_MAXPOOL_H

#include "../../runtime/qir_window.h"

typedef struct {
    qir_window window;
    int32_t channels;
} qir_maxpool_shape;

#endif
