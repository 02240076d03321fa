/* A tensor cut into parts: for each of `outer` rounds, bytes[k] to every part k in turn. */
#ifndef QIR_SPLIT_H
#define QIR_SPLIT_H

#include "../../runtime/qir_runtime.h"

#endif
