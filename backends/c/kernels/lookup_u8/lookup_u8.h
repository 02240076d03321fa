/* A function of one uint8 code as a table of its 256 results: y[i] = table[x[i]]. y may share the bytes of x. */
#ifndef QIR_LOOKUP_U8_H
#define QIR_LOOKUP_U8_H

#include "../../runtime/qir_runtime.h"

#endif
