/* Transposed convolution of uint8 codes with int8 weights, 1 to 3 spatial axes.

   y[n, o, c] = store(bias[c] + sum over taps t and channels i of the group of c of
                      (x[n, p, i] - x_zero_point) * w[i, c, t],  multiplier[c])
   with p = (o + pad - t * dilation) / stride, where that is whole and inside the input. In the window `in` and `out`
   are the sizes of x and y, and `pad` what is cut off before.
   Layouts: x [N, D, H, W, C], y [N, D, H, W, M]. Overflow: as conv_u8. */
#ifndef QIR_CONV_TRANSPOSE_U8_H
#define QIR_CONV_TRANSPOSE_U8_H

#include "../conv_u8/conv_u8.h"

/* Input position under a tap along one axis, -1 where there is none. */
static inline int32_t qir_conv_transpose_source(const qir_window *w, int32_t axis, int32_t position, int32_t tap) {
    const int32_t offset = position + w->pad[axis] - tap * w->dilation[axis];
    if (offset < 0 || offset % w->stride[axis] != 0 || offset / w->stride[axis] >= w->in[axis]) {
        return -1;
    }
    return offset / w->stride[axis];
}

#endif
