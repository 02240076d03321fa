#include "grid_sample.h"

#include <math.h>

/* template: begin */
#define QIR_T float
#define QIR_FLOOR floorf
#define QIR_RINT rintf
/* template: end */

/* Elements and weights that one coordinate meets; -1 where it lies outside. */
typedef struct {
    int32_t count;
    int32_t at[4];
    QIR_T weight[4];
} qir_grid_sample_T_taps;

static QIR_T qir_grid_sample_T_mirrored(QIR_T v, QIR_T low, QIR_T high) {
    const QIR_T range = high - low;
    if (range > 0 && (v < low || v > high)) {
        const QIR_T past = v < low ? low - v : v - high;
        const QIR_T turns = QIR_FLOOR(past / range), rest = past - turns * range;
        const int32_t even = turns - 2 * QIR_FLOOR(turns / 2) < (QIR_T)0.5;
        return (v < low) == even ? low + rest : high - rest;
    }
    return range > 0 ? v : low;
}

static int32_t qir_grid_sample_T_at(const qir_grid_sample_shape *s, int32_t size, int32_t i) {
    if (i >= 0 && i < size) {
        return i;
    }
    if (s->padding == 1) {
        return i < 0 ? 0 : size - 1;
    }
    if (s->padding == 2) {
        const QIR_T low = s->aligned ? 0 : (QIR_T)-0.5, high = (QIR_T)(size - 1) - low;
        const int32_t turned = (int32_t)qir_grid_sample_T_mirrored((QIR_T)i, low, high);
        return turned < size ? turned : size - 1;
    }
    return -1;
}

static qir_grid_sample_T_taps qir_grid_sample_T_find(const qir_grid_sample_shape *s, int32_t size, QIR_T g) {
    const QIR_T a = (QIR_T)-0.75, n = (QIR_T)size;
    const QIR_T low = s->aligned ? 0 : (QIR_T)-0.5, high = n - 1 - low;
    QIR_T v = s->aligned ? (g + 1) / 2 * (n - 1) : ((g + 1) * n - 1) / 2;
    qir_grid_sample_T_taps taps;
    int32_t first, k;
    v = s->form == 0 ? QIR_RINT(v) : v;
    if (v < low || v > high) {
        if (s->padding == 1 && s->form != 2) {
            v = v < 0 ? 0 : v > n - 1 ? n - 1 : v;
        } else if (s->padding == 2) {
            v = qir_grid_sample_T_mirrored(v, low, high);
        }
    }
    v = v > -8 ? v : -8; /* also where it is no number; beyond the image by more than any window */
    v = v < n + 8 ? v : n + 8;
    first = (int32_t)QIR_FLOOR(v);
    if (s->form == 0) {
        taps.count = 1;
        taps.at[0] = (int32_t)v;
        taps.weight[0] = 1;
    } else if (s->form == 1) {
        taps.count = 2;
        taps.at[0] = first;
        taps.weight[1] = v - (QIR_T)first;
        taps.weight[0] = 1 - taps.weight[1];
    } else {
        const QIR_T t = v - (QIR_T)first, u = 1 - t;
        taps.count = 4;
        taps.at[0] = first - 1;
        taps.weight[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
        taps.weight[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
        taps.weight[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
        taps.weight[3] = ((a * (u + 1) - 5 * a) * (u + 1) + 8 * a) * (u + 1) - 4 * a;
    }
    for (k = taps.count - 1; k >= 0; --k) {
        taps.at[k] = qir_grid_sample_T_at(s, size, taps.at[0] + k);
    }
    return taps;
}

void qir_grid_sample_T__portable(const qir_grid_sample_shape *s, const QIR_T *QIR_RESTRICT x,
                                 const QIR_T *QIR_RESTRICT grid, QIR_T *QIR_RESTRICT y) {
    const ptrdiff_t plane = (ptrdiff_t)s->in[0] * s->in[1] * s->in[2];
    int32_t n, p, channel, axis, a, b, c;
    for (n = 0; n < s->batch; ++n) {
        for (p = 0; p < s->points; ++p, grid += s->axes) {
            qir_grid_sample_T_taps t[3];
            t[0].count = 1;
            t[0].at[0] = 0;
            t[0].weight[0] = 1;
            for (axis = 0; axis < s->axes; ++axis) {
                t[2 - axis] = qir_grid_sample_T_find(s, s->in[2 - axis], grid[axis]);
            }
            for (channel = 0; channel < s->channels; ++channel) {
                const QIR_T *const from = x + ((ptrdiff_t)n * s->channels + channel) * plane;
                QIR_T sum = 0;
                for (a = 0; a < t[0].count; ++a) {
                    for (b = 0; b < t[1].count; ++b) {
                        for (c = 0; c < t[2].count; ++c) {
                            if (t[0].at[a] >= 0 && t[1].at[b] >= 0 && t[2].at[c] >= 0) {
                                const ptrdiff_t row = (ptrdiff_t)t[0].at[a] * s->in[1] + t[1].at[b];
                                sum += from[row * s->in[2] + t[2].at[c]] *
                                       (t[0].weight[a] * t[1].weight[b] * t[2].weight[c]);
                            }
                        }
                    }
                }
                y[((ptrdiff_t)n * s->channels + channel) * s->points + p] = sum;
            }
        }
    }
}
