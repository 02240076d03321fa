/* Convolution of codes, uint8 or int16, with weights of up to 16 bits, 1 to 3 spatial axes.

   y[n, o, c] = store(bias[c] + sum over taps t inside the input and channels i of the group of c of
                      (x[n, o * stride + t * dilation - pad, i] - x_zero_point) * w[c, i, t],  multiplier[c])

   store is qir_store_u8 (codes) or qir_store_f32 (reals). Taps outside the input are real zeros: they add nothing.
   Layouts: x [N, D, H, W, C], y [N, D, H, W, M]; weights: see each kernel.
   Overflow: |x - x_zero_point| <= 255 and |w| <= 128, and the binder checks for every output channel that
   |bias| + 255 * sum |w| < 2^31, so that no partial sum leaves int32. int16 codes have x_zero_point 0: 32768 takes the
   place of 255, and where the sum reaches 2^31 accumulators have 64 bits, as with int16 weights. */
#ifndef QIR_CONV_U8_H
#define QIR_CONV_U8_H

#include "../../runtime/qir_window.h"

typedef struct {
    qir_window window;
    int32_t groups;
    int32_t in_channels;  /* of one group */
    int32_t out_channels; /* of one group */
    int32_t x_zero_point;
    qir_requant requant;
} qir_conv_u8_shape;

#endif
