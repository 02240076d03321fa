/* A copy of x in which slices of `inner` elements are replaced: y[indices[k, 0], .., indices[k, depth - 1], :] =
   f(the same, updates[k, :]) for every k in turn. Updates with an index outside its axis are left out.

   size: of the axes that the tuples index. */
#ifndef QIR_SCATTER_ND_H
#define QIR_SCATTER_ND_H

#include "../../runtime/qir_index.h"

#endif
