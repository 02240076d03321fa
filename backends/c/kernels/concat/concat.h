/* Parts laid one after another: for each of `outer` rounds, bytes[k] of every part k in turn. */
#ifndef QIR_CONCAT_H
#define QIR_CONCAT_H

#include "../../runtime/qir_runtime.h"

#endif
