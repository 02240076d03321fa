/* The triangle of matrices above (upper) or below the diagonal number *k, zeros elsewhere. y may share the bytes of x. */
#ifndef QIR_TRILU_H
#define QIR_TRILU_H

#include "../../runtime/qir_runtime.h"

#endif
