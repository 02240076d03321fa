/* Position of the largest or smallest element along an axis: x is [outer, size, inner], y [outer, inner]. Of equal ones the
   first counts, or the last if asked for. */
#ifndef QIR_ARG_EXTREME_H
#define QIR_ARG_EXTREME_H

#include "../../runtime/qir_runtime.h"

#endif
