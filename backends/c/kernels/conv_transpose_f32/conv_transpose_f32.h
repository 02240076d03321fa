/* Transposed convolution of floats, 1 to 3 spatial axes.

   y[n, o, c] = bias[c] + sum over taps t and inputs p with p * stride + t * dilation - pad = o, and channels i of the group
                of c, of x[n, p, i] * w[i, c, t]

   each step rounded; the order of the sums: see each kernel. Layouts: x [N, D, H, W, C], y [N, D, H, W, M]. */
#ifndef QIR_CONV_TRANSPOSE_F32_H
#define QIR_CONV_TRANSPOSE_F32_H

#include "../../runtime/qir_dot_f32.h"
#include "../../runtime/qir_window.h"

typedef struct {
    qir_window window;
    int32_t groups;
    int32_t in_channels;  /* of one group */
    int32_t out_channels; /* of one group */
} qir_conv_transpose_f32_shape;

#endif
