/* y = x, byte by byte. */
#ifndef QIR_COPY_H
#define QIR_COPY_H

#include "../../runtime/qir_runtime.h"

#endif
