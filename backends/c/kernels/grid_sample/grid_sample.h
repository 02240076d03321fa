/* Samples of an image at positions that a grid gives, two or three spatial axes.

   x [batch, channels, D, H, W], grid [batch, points, 2 or 3] with coordinates in [-1, 1], innermost axis first,
   y [batch, channels, points]. An axis of size n is met at ((g + 1) * n - 1) / 2, or with aligned corners at
   (g + 1) / 2 * (n - 1).
   form 0: the nearest element (halves to even), 1: linear between two, 2: cubic over four with a = -0.75.
   padding 0: zeros outside, 1: the border is repeated, 2: the image is mirrored at its borders. Where cubic windows reach over
   a repeated border the weights stay those of the position outside, as in PyTorch and onnxruntime. */
#ifndef QIR_GRID_SAMPLE_H
#define QIR_GRID_SAMPLE_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t batch;
    int32_t channels;
    int32_t axes;
    int32_t in[3];
    int32_t points;
    int32_t form;
    int32_t padding;
    int32_t aligned;
} qir_grid_sample_shape;

#endif
