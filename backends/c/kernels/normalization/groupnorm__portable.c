#include "normalization.h"

#include <math.h>

/* template: begin */
#define QIR_T float
#define QIR_SQRT sqrtf
/* template: end */

/* Sum over a group of x - shift, or of its squares: a partial sum for each position (or channel) of the outer loop. */
static QIR_T qir_groupnorm_T_sum(const qir_groupnorm_shape *s, const QIR_T *x, QIR_T shift, int32_t squares) {
    const int32_t by_channel = s->channel_stride > s->position_stride;
    const int32_t outer = by_channel ? s->channels : s->positions, inner = by_channel ? s->positions : s->channels;
    const int32_t far_step = by_channel ? s->channel_stride : s->position_stride;
    const int32_t near_step = by_channel ? s->position_stride : s->channel_stride;
    QIR_T sum = 0;
    int32_t i, k;
    for (i = 0; i < outer; ++i) {
        const QIR_T *from = x + (ptrdiff_t)i * far_step;
        QIR_T part = 0;
        for (k = 0; k < inner; ++k, from += near_step) {
            part += squares ? (*from - shift) * (*from - shift) : *from;
        }
        sum += part;
    }
    return sum;
}

void qir_groupnorm_T__portable(const qir_groupnorm_shape *s, double epsilon, const QIR_T *x, const QIR_T *scale,
                               const QIR_T *bias, QIR_T *y) {
    const QIR_T count = (QIR_T)s->channels * (QIR_T)s->positions;
    const ptrdiff_t sample = (ptrdiff_t)s->groups * s->channels * s->positions;
    int32_t n, g, c, i;
    for (n = 0; n < s->batch; ++n) {
        for (g = 0; g < s->groups; ++g) {
            const ptrdiff_t start = n * sample + (ptrdiff_t)g * s->channels * s->channel_stride;
            const QIR_T m = qir_groupnorm_T_sum(s, x + start, 0, 0) / count;
            const QIR_T v = qir_groupnorm_T_sum(s, x + start, m, 1) / count;
            const QIR_T factor = (QIR_T)1 / QIR_SQRT(v + (QIR_T)epsilon);
            for (c = 0; c < s->channels; ++c) {
                const int32_t channel = g * s->channels + c;
                ptrdiff_t at = start + (ptrdiff_t)c * s->channel_stride;
                for (i = 0; i < s->positions; ++i, at += s->position_stride) {
                    y[at] = (x[at] - m) * factor * scale[channel] + bias[channel];
                }
            }
        }
    }
}
