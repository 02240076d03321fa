/* Slices, expansions, tilings and other copies whose elements lie at constant distances: see qir_strided. */
#ifndef QIR_STRIDED_COPY_H
#define QIR_STRIDED_COPY_H

#include "../../runtime/qir_strided.h"

#endif
