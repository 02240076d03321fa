/* Averages or maxima over boxes of an image, sampled bilinearly.

   x [batch, channels, H, W], rois [count, 4] (x1, y1, x2, y2), sample of each box in batch_indices; y [count, channels, OH, OW].
   A box is scaled by spatial_scale and moved by -offset (0.5: half a pixel), and without offset is at least 1 wide and high.
   Each of its OH x OW bins is sampled at sampling x sampling points, or ceil(bin size) where sampling is 0. Points more than
   1 outside the image count as 0. largest: y is the largest of the four weighted neighbours of all points; else the mean of
   the interpolated points. */
#ifndef QIR_ROI_ALIGN_H
#define QIR_ROI_ALIGN_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t batch;
    int32_t channels;
    int32_t in[2];
    int32_t count;
    int32_t out[2];
    int32_t sampling;
    int32_t largest;
    float spatial_scale;
    float offset;
} qir_roi_align_shape;

#endif
