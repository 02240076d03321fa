/* A copy of x in which single elements are replaced: y[.., indices[i], ..] = f(y[.., indices[i], ..], updates[i]) for
   every i in turn, the index along one axis. Updates whose index is outside the axis are left out. */
#ifndef QIR_SCATTER_ELEMENTS_H
#define QIR_SCATTER_ELEMENTS_H

#include "../gather_elements/gather_elements.h"

#endif
