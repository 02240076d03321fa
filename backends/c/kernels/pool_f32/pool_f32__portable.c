#include "pool_f32.h"

#include <math.h>

/* template: begin */
#define QIR_T float
#define QIR_SQRT sqrtf
#define QIR_POW powf
#define QIR_FABS fabsf
/* template: end */

static int32_t qir_pool_T_count(const qir_pool_f32_shape *s, const qir_taps *t) {
    int32_t axis, count = 1;
    for (axis = 0; axis < 3; ++axis) {
        if (s->counts_padding) {
            const int32_t d = s->window.dilation[axis], left = s->counted_end[axis] - t->start[axis];
            const int32_t reach = left > 0 ? (left + d - 1) / d : 0;
            count *= reach < s->window.kernel[axis] ? reach : s->window.kernel[axis];
        } else {
            count *= t->last[axis] > t->first[axis] ? t->last[axis] - t->first[axis] : 0;
        }
    }
    return count;
}

static void qir_pool_T_add(const qir_pool_f32_shape *s, const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y) {
    const int32_t channels = s->channels;
    int32_t j;
    switch (s->form) {
        case 0:
            for (j = 0; j < channels; ++j) {
                y[j] += x[j];
            }
            break;
        case 1:
            for (j = 0; j < channels; ++j) {
                y[j] += QIR_FABS(x[j]);
            }
            break;
        case 2:
            for (j = 0; j < channels; ++j) {
                y[j] += x[j] * x[j];
            }
            break;
        case 3:
            for (j = 0; j < channels; ++j) {
                y[j] += QIR_POW(QIR_FABS(x[j]), (QIR_T)s->p);
            }
            break;
        default:
            for (j = 0; j < channels; ++j) {
                y[j] = x[j] > y[j] || x[j] != x[j] ? x[j] : y[j];
            }
            break;
    }
}

void qir_pool_T__portable(const qir_pool_f32_shape *s, const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y) {
    const qir_window *const w = &s->window;
    const int32_t pixels = qir_pixels(w), channels = s->channels;
    int32_t pixel;
    for (pixel = 0; pixel < pixels; ++pixel, y += channels) {
        int32_t a, b, c, j;
        qir_taps t;
        qir_find_taps(w, pixel, &t);
        for (j = 0; j < channels; ++j) {
            y[j] = s->form == 4 ? -(QIR_T)INFINITY : (QIR_T)0;
        }
        for (a = t.first[0]; a < t.last[0]; ++a) {
            for (b = t.first[1]; b < t.last[1]; ++b) {
                for (c = t.first[2]; c < t.last[2]; ++c) {
                    qir_pool_T_add(s, x + qir_under_tap(w, &t, a, b, c) * channels, y);
                }
            }
        }
        if (s->form == 0) {
            const int32_t counted = qir_pool_T_count(s, &t);
            const QIR_T count = (QIR_T)(counted > 0 ? counted : 1);
            for (j = 0; j < channels; ++j) {
                y[j] /= count;
            }
        } else if (s->form == 2) {
            for (j = 0; j < channels; ++j) {
                y[j] = QIR_SQRT(y[j]);
            }
        } else if (s->form == 3) {
            for (j = 0; j < channels; ++j) {
                y[j] = QIR_POW(y[j], (QIR_T)1 / (QIR_T)s->p);
            }
        }
    }
}
