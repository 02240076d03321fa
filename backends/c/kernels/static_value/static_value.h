/* A result that is known at compile time: y = value. */
#ifndef QIR_STATIC_VALUE_H
#define QIR_STATIC_VALUE_H

#include "../../runtime/qir_runtime.h"

#endif
