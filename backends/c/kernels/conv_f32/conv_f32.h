/* Convolution of floats, 1 to 3 spatial axes.

   y[n, o, c] = sum over taps t and channels i of the group of c of x[n, o * stride + t * dilation - pad, i] * w[c, i, t]
                + bias[c]

   Taps outside the input meet zeros. Sums run over taps row by row, then channels, ascending, each step rounded to float;
   the bias comes last. Layouts: x [N, D, H, W, C], y [N, D, H, W, M]; weights: see each kernel. */
#ifndef QIR_CONV_F32_H
#define QIR_CONV_F32_H

#include "../../runtime/qir_dot_f32.h"
#include "../../runtime/qir_window.h"

typedef struct {
    qir_window window;
    int32_t groups;
    int32_t in_channels;  /* of one group */
    int32_t out_channels; /* of one group */
    int32_t chunk;        /* output pixels whose inputs are gathered at once; 0: rows of x are used as they lie */
} qir_conv_f32_shape;

#endif
