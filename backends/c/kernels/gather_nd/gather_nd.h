/* Slices named by index tuples: y[b, k, :] = x[b, indices[b, k, 0], .., indices[b, k, depth - 1], :], `bytes` of them each.
   Indices outside an axis are moved to its nearest end (see qir_index).

   size: of the axes that the tuples index. */
#ifndef QIR_GATHER_ND_H
#define QIR_GATHER_ND_H

#include "../../runtime/qir_index.h"

#endif
