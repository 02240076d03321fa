/* Transposed convolution of floats, 1 to 3 spatial axes.

   y[n, o, c] = sum over taps t and inputs p with p * stride + t * dilation - pad = o, and channels i of the group of c, of
                x[n, p, i] * w[i, c, t]  + bias[c]

   Sums run over taps row by row, then channels, ascending, each step rounded; the bias comes last.
   Layouts: x [N, D, H, W, C], y [N, D, H, W, M]. */
#ifndef QIR_CONV_TRANSPOSE_F32_H
#define QIR_CONV_TRANSPOSE_F32_H

#include "../../runtime/qir_window.h"

typedef struct {
    qir_window window;
    int32_t groups;
    int32_t in_channels;  /* of one group */
    int32_t out_channels; /* of one group */
    int32_t channel_stride; /* between weights of neighbouring input channels */
    int32_t tap_stride;     /* between weights of neighbouring taps */
    int32_t block_stride;   /* between blocks of eight output channels */
    int32_t out_stride;     /* between weights of neighbouring output channels */
    int32_t group_stride;
} qir_conv_transpose_f32_shape;

#endif
