#include "roi_align.h"

#include <math.h>

/* template: begin */
#define QIR_T float
#define QIR_CEIL ceilf
/* template: end */

/* Neighbours of a coordinate and the weight of the upper one; 0 where it lies outside. */
static int32_t qir_roi_align_T_near(QIR_T v, int32_t size, int32_t *low, int32_t *high, QIR_T *weight) {
    if (!(v >= -1 && v <= (QIR_T)size)) {
        return 0;
    }
    v = v > 0 ? v : 0;
    *low = (int32_t)v;
    if (*low >= size - 1) {
        *low = size - 1;
        *high = size - 1;
        *weight = 0;
    } else {
        *high = *low + 1;
        *weight = v - (QIR_T)*low;
    }
    return 1;
}

static QIR_T qir_roi_align_T_bin(const qir_roi_align_shape *s, const QIR_T *x, const QIR_T *start, const QIR_T *step,
                                 const int32_t *points) {
    QIR_T result = 0;
    int32_t i, j, k, seen = 0;
    for (i = 0; i < points[0]; ++i) {
        for (j = 0; j < points[1]; ++j) {
            const QIR_T row = start[0] + ((QIR_T)i + (QIR_T)0.5) * step[0] / (QIR_T)points[0];
            const QIR_T column = start[1] + ((QIR_T)j + (QIR_T)0.5) * step[1] / (QIR_T)points[1];
            int32_t low[2] = {0, 0}, high[2] = {0, 0};
            QIR_T weight[2] = {0, 0}, part[4] = {0, 0, 0, 0};
            if (qir_roi_align_T_near(row, s->in[0], low, high, weight) &&
                qir_roi_align_T_near(column, s->in[1], low + 1, high + 1, weight + 1)) {
                part[0] = (1 - weight[0]) * (1 - weight[1]) * x[(ptrdiff_t)low[0] * s->in[1] + low[1]];
                part[1] = (1 - weight[0]) * weight[1] * x[(ptrdiff_t)low[0] * s->in[1] + high[1]];
                part[2] = weight[0] * (1 - weight[1]) * x[(ptrdiff_t)high[0] * s->in[1] + low[1]];
                part[3] = weight[0] * weight[1] * x[(ptrdiff_t)high[0] * s->in[1] + high[1]];
            }
            for (k = 0; k < 4; ++k) {
                if (s->largest) {
                    result = !seen || part[k] > result ? part[k] : result;
                    seen = 1;
                } else {
                    result += part[k];
                }
            }
        }
    }
    if (!s->largest) {
        const int32_t all = points[0] * points[1];
        result /= (QIR_T)(all > 0 ? all : 1);
    }
    return result;
}

void qir_roi_align_T__portable(const qir_roi_align_shape *s, const QIR_T *QIR_RESTRICT x,
                               const QIR_T *QIR_RESTRICT rois, const int64_t *QIR_RESTRICT batch_indices,
                               QIR_T *QIR_RESTRICT y) {
    const QIR_T scale = (QIR_T)s->spatial_scale, offset = (QIR_T)s->offset;
    const ptrdiff_t plane = (ptrdiff_t)s->in[0] * s->in[1];
    int32_t r, channel, i, j, axis;
    for (r = 0; r < s->count; ++r, rois += 4) {
        const int64_t sample = batch_indices[r] >= 0 && batch_indices[r] < s->batch ? batch_indices[r] : 0;
        QIR_T corner[2], step[2];
        int32_t points[2];
        for (axis = 0; axis < 2; ++axis) {
            QIR_T size;
            corner[axis] = rois[1 - axis] * scale - offset;
            size = rois[3 - axis] * scale - offset - corner[axis];
            if (!(offset > 0)) {
                size = size > 1 ? size : 1;
            }
            step[axis] = size / (QIR_T)s->out[axis];
            points[axis] = s->sampling > 0 ? s->sampling : 0;
            if (s->sampling <= 0 && step[axis] > 0 && step[axis] < (QIR_T)s->in[axis] * 4 + 4) {
                points[axis] = (int32_t)QIR_CEIL(step[axis]);
            }
        }
        for (channel = 0; channel < s->channels; ++channel) {
            const QIR_T *const from = x + (sample * s->channels + channel) * plane;
            for (i = 0; i < s->out[0]; ++i) {
                for (j = 0; j < s->out[1]; ++j) {
                    QIR_T start[2];
                    start[0] = corner[0] + (QIR_T)i * step[0];
                    start[1] = corner[1] + (QIR_T)j * step[1];
                    *y++ = qir_roi_align_T_bin(s, from, start, step, points);
                }
            }
        }
    }
}
