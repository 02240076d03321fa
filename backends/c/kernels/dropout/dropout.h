/* Dropout at inference: y = x, and a mask that keeps everything. */
#ifndef QIR_DROPOUT_H
#define QIR_DROPOUT_H

#include "../../runtime/qir_runtime.h"

#endif
