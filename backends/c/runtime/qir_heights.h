/* How pixels are cut into tiles of nearly equal height. */
#ifndef QIR_HEIGHTS_H
#define QIR_HEIGHTS_H

#include "qir_vector.h"

/* Some tiles of `high` pixels, then some that are lower by one. */
typedef struct {
    int32_t high;
    int32_t higher;
    int32_t lower;
} qir_heights;

static inline qir_heights qir_cut_into_tiles(int32_t pixels, int32_t most) {
    const int32_t tiles = (pixels + most - 1) / most;
    qir_heights cut;
    cut.high = (pixels + tiles - 1) / tiles;
    cut.higher = pixels - tiles * (cut.high - 1);
    cut.lower = tiles - cut.higher;
    return cut;
}

#endif
