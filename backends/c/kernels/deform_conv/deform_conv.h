/* Deformable convolution over two spatial axes: a convolution each of whose taps is moved by an offset of its own.

   y[n, c, o] = bias[c] + sum over channels i of the group of c and taps t of
                w[c, i, t] * mask[n, g, t, o] * x[n, i, o * stride - pad + t * dilation + offset[n, g, t, o]]

   g is the offset group of channel i; x is interpolated bilinearly, neighbours outside it are 0.
   Layouts: x [N, C, H, W], w [M, C / groups, KH, KW], offset [N, offset_groups, taps, 2, OH, OW], mask the same without the 2,
   y [N, M, OH, OW]. Sums run over channels, then taps, each step rounded; the bias comes last. */
#ifndef QIR_DEFORM_CONV_H
#define QIR_DEFORM_CONV_H

#include "../../runtime/qir_window.h"

typedef struct {
    qir_window window; /* axes 1 and 2 */
    int32_t channels;
    int32_t groups;
    int32_t offset_groups;
    int32_t out_channels; /* of all groups */
    int32_t masked;
} qir_deform_conv_shape;

#endif
