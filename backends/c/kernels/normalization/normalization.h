/* Normalizations of floats, all in the element type, each step rounded. y may share x's bytes except in lrn.

   batchnorm:  y = (x - mean[c]) * (scale[c] / sqrt(var[c] + epsilon)) + bias[c]
   rownorm:    y = (x - m) * (1 / sqrt(v + epsilon)) * scale[j] + bias[j] over rows of n elements, m and v the row's mean
               and variance (layer normalization), or 0 and its mean square (RMS normalization)
   groupnorm:  the same over the channels of a group and all positions, scale and bias by channel
   axisnorm:   (x - m) / (sqrt(v) + 1e-9) over any axes (mean-variance normalization)
   lpnorm:     y = x / norm, the norm being the sum of |x| or the root of the sum of squares along an axis; 0 where it is 0
   lrn:        y = x / (bias + alpha / size * sum of x^2 over `size` neighbouring channels) ^ beta

   Means come first, then variances as means of squared distances. Row sums run in eight interleaved parts, each ascending,
   which are then added in order; other sums run ascending over stored positions. */
#ifndef QIR_NORMALIZATION_H
#define QIR_NORMALIZATION_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t batch;
    int32_t groups;
    int32_t channels; /* of one group */
    int32_t positions;
    int32_t channel_stride;
    int32_t position_stride;
} qir_groupnorm_shape;

/* Loops over the axes that stay and those that are normalized, outermost first. */
typedef struct {
    int32_t kept[6];
    int32_t kept_stride[6];
    int32_t reduced[6];
    int32_t reduced_stride[6];
} qir_axisnorm_shape;

#endif
