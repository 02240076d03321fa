#include "conv_f32_panels.h"

/* template: begin */
#include "../../runtime/qir_f32_words.h"
/* template: end */

typedef struct {
    const qir_window *window;
    ptrdiff_t channels; /* floats from pixel to pixel */
    ptrdiff_t padded;   /* floats from tap to tap of the weights */
    QIR_VF low;
    QIR_VF most;
} qir_conv_f32f32_depthwise_job;

QIR_ISA static QIR_INLINE QIR_VF qir_conv_f32f32_depthwise_some(const float *from, int32_t count) {
    return count == QIR_WIDTH ? QIR_LOAD(from) : QIR_LOAD_PART(from, count);
}

QIR_ISA static QIR_INLINE void qir_conv_f32f32_depthwise_put(const qir_conv_f32f32_depthwise_job *job, float *to,
                                                             int32_t count, QIR_VF sum) {
    sum = QIR_MIN(job->most, QIR_MAX(job->low, sum));
    if (count == QIR_WIDTH) {
        QIR_STORE(to, sum);
    } else {
        QIR_STORE_PART(to, count, sum);
    }
}

/* `count` channels of four output pixels that have the same taps, or (apart == 0) of one. */
QIR_ISA static QIR_INLINE void qir_conv_f32f32_depthwise_block(const qir_conv_f32f32_depthwise_job *job, const qir_taps *t,
                                                               const float *x, const float *w, QIR_VF bias,
                                                               ptrdiff_t apart, int32_t count, float *y) {
    const qir_window *const win = job->window;
    const ptrdiff_t next = win->dilation[2] * job->channels;
    QIR_VF sum0 = bias, sum1 = bias, sum2 = bias, sum3 = bias;
    int32_t a, b, c;
    for (a = t->first[0]; a < t->last[0]; ++a) {
        for (b = t->first[1]; b < t->last[1]; ++b) {
            const float *tap = w + ((a * win->kernel[1] + b) * win->kernel[2] + t->first[2]) * job->padded;
            const float *from = x + qir_under_tap(win, t, a, b, t->first[2]) * job->channels;
            for (c = t->first[2]; c < t->last[2]; ++c, tap += job->padded, from += next) {
                const QIR_VF weight = QIR_LOAD(tap);
                sum0 = QIR_FMA(qir_conv_f32f32_depthwise_some(from, count), weight, sum0);
                if (apart) {
                    sum1 = QIR_FMA(qir_conv_f32f32_depthwise_some(from + apart, count), weight, sum1);
                    sum2 = QIR_FMA(qir_conv_f32f32_depthwise_some(from + 2 * apart, count), weight, sum2);
                    sum3 = QIR_FMA(qir_conv_f32f32_depthwise_some(from + 3 * apart, count), weight, sum3);
                }
            }
        }
    }
    qir_conv_f32f32_depthwise_put(job, y, count, sum0);
    if (apart) {
        qir_conv_f32f32_depthwise_put(job, y + job->channels, count, sum1);
        qir_conv_f32f32_depthwise_put(job, y + 2 * job->channels, count, sum2);
        qir_conv_f32f32_depthwise_put(job, y + 3 * job->channels, count, sum3);
    }
}

/* All channels of four pixels, or of one. */
QIR_ISA QIR_ALONE static void qir_conv_f32f32_depthwise_four(const qir_conv_f32f32_depthwise_job *job, const qir_taps *t,
                                                             const float *x, const float *w, const float *bias, float *y) {
    const ptrdiff_t apart = job->window->stride[2] * job->channels;
    const int32_t channels = (int32_t)job->channels;
    int32_t j;
    for (j = 0; j + QIR_WIDTH <= channels; j += QIR_WIDTH) {
        qir_conv_f32f32_depthwise_block(job, t, x + j, w + j, QIR_LOAD(bias + j), apart, QIR_WIDTH, y + j);
    }
    if (j < channels) {
        qir_conv_f32f32_depthwise_block(job, t, x + j, w + j, QIR_LOAD(bias + j), apart, channels - j, y + j);
    }
}

QIR_ISA QIR_ALONE static void qir_conv_f32f32_depthwise_one(const qir_conv_f32f32_depthwise_job *job, const qir_taps *t,
                                                            const float *x, const float *w, const float *bias, float *y) {
    const int32_t channels = (int32_t)job->channels;
    int32_t j;
    for (j = 0; j + QIR_WIDTH <= channels; j += QIR_WIDTH) {
        qir_conv_f32f32_depthwise_block(job, t, x + j, w + j, QIR_LOAD(bias + j), 0, QIR_WIDTH, y + j);
    }
    if (j < channels) {
        qir_conv_f32f32_depthwise_block(job, t, x + j, w + j, QIR_LOAD(bias + j), 0, channels - j, y + j);
    }
}

/* One input and one output channel a group. Weights: [kernel taps][channels, up to whole vectors], bias alike. Taps
   outside the input are left out; four neighbouring pixels whose taps all lie inside go together, the last four again
   where they are no multiple of four. */
QIR_ISA
void qir_conv_f32f32_depthwise__vectors(const qir_conv_f32_panels *s, const float *QIR_RESTRICT x,
                                        const float *QIR_RESTRICT w, const float *QIR_RESTRICT bias,
                                        float *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int32_t width = win->out[2], lines = win->batch * win->out[0] * win->out[1];
    const int32_t reach = (win->kernel[2] - 1) * win->dilation[2], room = win->in[2] - 1 - reach + win->pad[2];
    const int32_t first = (win->pad[2] + win->stride[2] - 1) / win->stride[2];
    const int32_t most = room < 0 ? 0 : room / win->stride[2] + 1, last = most < width ? most : width;
    qir_conv_f32f32_depthwise_job job;
    int32_t line, column;
    job.window = win;
    job.channels = s->groups;
    job.padded = (s->groups + QIR_WIDTH - 1) / QIR_WIDTH * QIR_WIDTH;
    job.low = QIR_ALL(s->low);
    job.most = QIR_ALL(s->most);
    for (line = 0; line < lines; ++line) {
        for (column = 0; column < width;) {
            const int32_t four = last - first >= 4 && column >= first && column < last;
            const int32_t from = four && column + 4 > last ? last - 4 : column, pixel = line * width + from;
            qir_taps t;
            qir_find_taps(win, pixel, &t);
            if (four) {
                qir_conv_f32f32_depthwise_four(&job, &t, x, w, bias, y + pixel * job.channels);
            } else {
                qir_conv_f32f32_depthwise_one(&job, &t, x, w, bias, y + pixel * job.channels);
            }
            column = four ? from + 4 : from + 1;
        }
    }
}
