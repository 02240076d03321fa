/* Columns added back into an image of up to three axes. x: [planes, kernel taps, windows], y: [planes, image]; y is the sum,
   for every tap and window, of x at the image's element that lies under it; what lies in the padding is dropped.

   in: the image, out: windows along each axis (qir_window of the convolution that would give x). */
#ifndef QIR_COL2IM_H
#define QIR_COL2IM_H

#include "../../runtime/qir_window.h"

#endif
