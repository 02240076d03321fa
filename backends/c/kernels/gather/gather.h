/* Slices along one axis: y[o, k, :] = x[o, indices[k], :], `bytes` of them each. Indices outside the axis are moved to
   its nearest end (see qir_index). */
#ifndef QIR_GATHER_H
#define QIR_GATHER_H

#include "../../runtime/qir_index.h"

#endif
