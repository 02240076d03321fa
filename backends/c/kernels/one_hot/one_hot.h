/* y[o, d, i] = values[1] where indices[o, i] is d (negative ones count from depth), else values[0]. */
#ifndef QIR_ONE_HOT_H
#define QIR_ONE_HOT_H

#include "../../runtime/qir_index.h"

#endif
