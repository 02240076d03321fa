/* Resampling of up to three axes by tables made at compile time: x [outer, in0, in1, in2, inner], y [outer, out0, out1, out2,
   inner]. For output i of axis k and each of its taps t the table `place` holds the offset in x of the element that it
   reads (clamped to the axis; -1 at the first tap: the whole output is `outside`) and `weight` what it counts:

   y[o, i, j, k, :] = sum over taps of weight[i, t] * weight[j, u] * weight[k, v] * x[o, place[i, t] + place[j, u] + place[k, v], :]

   The tables of the three axes follow one another, each [out][taps]. Nearest has one tap of weight 1, which is not stored.
   Results of integer type are cut towards zero and saturate. */
#ifndef QIR_RESIZE_H
#define QIR_RESIZE_H

#include "../../runtime/qir_runtime.h"

typedef struct {
    int32_t outer;
    int32_t inner;
    int32_t sample; /* elements of x in one outer round */
    int32_t out[3];
    int32_t taps[3];
} qir_resize_shape;

#endif
