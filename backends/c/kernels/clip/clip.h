/* y[i] = min(max(x[i], *low), *high): where the bounds cross the high one wins; NaN stays NaN. y may share the bytes
   of x. */
#ifndef QIR_CLIP_H
#define QIR_CLIP_H

#include "../../runtime/qir_runtime.h"

#endif
