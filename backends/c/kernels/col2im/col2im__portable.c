#include "col2im.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_col2im_T__portable(const qir_window *w, const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y) {
    const int32_t taps = w->kernel[0] * w->kernel[1] * w->kernel[2], windows = w->out[0] * w->out[1] * w->out[2];
    const int32_t size = w->in[0] * w->in[1] * w->in[2];
    int32_t plane, tap, window, axis;
    (void)memset(y, 0, (size_t)w->batch * (size_t)size * sizeof(QIR_T));
    for (plane = 0; plane < w->batch; ++plane, y += size) {
        for (tap = 0; tap < taps; ++tap) {
            for (window = 0; window < windows; ++window, ++x) {
                int32_t left = window, tap_left = tap, step = 1, place = 0, inside = 1;
                for (axis = 2; axis >= 0; --axis) {
                    const int32_t i = left % w->out[axis] * w->stride[axis] - w->pad[axis] +
                                      tap_left % w->kernel[axis] * w->dilation[axis];
                    inside &= i >= 0 && i < w->in[axis];
                    place += i * step;
                    step *= w->in[axis];
                    left /= w->out[axis];
                    tap_left /= w->kernel[axis];
                }
                if (inside) {
                    y[place] = (QIR_T)(y[place] + *x);
                }
            }
        }
    }
}
