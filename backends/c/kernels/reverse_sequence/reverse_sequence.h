/* Sequences with their first lengths[b] steps in reverse order. x and y: [first, second, bytes], where first is time and
   second the batch (time_first) or the other way round; lengths are bounded by the number of steps. */
#ifndef QIR_REVERSE_SEQUENCE_H
#define QIR_REVERSE_SEQUENCE_H

#include "../../runtime/qir_runtime.h"

#endif
