/* What Winograd's kernel wants of an instruction set. */
#ifndef QIR_CONV_U8_WINOGRAD_H
#define QIR_CONV_U8_WINOGRAD_H

#include "../../runtime/qir_vector.h"

/* Products at one place: of some tiles, their codes x [tile][input channels of all steps], with the weights of sixteen
   output channels, [step][...], added to start [16], give the sums y [tile][16]. */
typedef void qir_winograd_tiles(int32_t steps, const int16_t *x, const int16_t *w, const int32_t *start, int32_t *y);

#endif
