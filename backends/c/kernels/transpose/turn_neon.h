/* Four rows of four words turned. */
#ifndef QIR_TURN_NEON_H
#define QIR_TURN_NEON_H

#include "../../runtime/qir_neon.h"

static QIR_INLINE void qir_turn_neon(float32x4_t rows[4]) {
    const float32x4x2_t upper = vtrnq_f32(rows[0], rows[1]), lower = vtrnq_f32(rows[2], rows[3]);
    int32_t i;
    for (i = 0; i < 2; ++i) {
        rows[i] = vcombine_f32(vget_low_f32(upper.val[i]), vget_low_f32(lower.val[i]));
        rows[i + 2] = vcombine_f32(vget_high_f32(upper.val[i]), vget_high_f32(lower.val[i]));
    }
}

#endif
