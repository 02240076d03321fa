/* Positions in an image that an affine map takes from a regular grid, two or three spatial axes.

   theta [batch, axes, axes + 1]; y [batch, D, H, W, axes] = theta * (w, h, d, 1), innermost axis first. Along an axis of size
   n coordinate i is (2 i + 1) / n - 1, or with aligned corners 2 i / (n - 1) - 1 (-1 where n is 1). */
#ifndef QIR_AFFINE_GRID_H
#define QIR_AFFINE_GRID_H

#include "../../runtime/qir_runtime.h"

#endif
