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

/* What four sums go over: one vector of channels of one pixel (one sum alone) or of four neighbouring pixels that have the
   same taps, or four vectors of channels of one pixel. */
enum { qir_conv_f32f32_depthwise_single, qir_conv_f32f32_depthwise_pixels, qir_conv_f32f32_depthwise_vectors };

/* The last vector holds `count` channels. */
QIR_ISA static QIR_INLINE void qir_conv_f32f32_depthwise_block(const qir_conv_f32f32_depthwise_job *job, const qir_taps *t,
                                                               const float *x, const float *w, const float *bias, int form,
                                                               int32_t count, float *y) {
    const qir_window *const win = job->window;
    const int vectors = form == qir_conv_f32f32_depthwise_vectors;
    const ptrdiff_t next = win->dilation[2] * job->channels, beside = vectors ? QIR_WIDTH : 0;
    const ptrdiff_t apart = vectors ? QIR_WIDTH : win->stride[2] * job->channels;
    const ptrdiff_t after = vectors ? QIR_WIDTH : job->channels;
    QIR_VF sum0 = QIR_LOAD(bias), sum1 = QIR_LOAD(bias + beside), sum2 = QIR_LOAD(bias + 2 * beside);
    QIR_VF sum3 = QIR_LOAD(bias + 3 * beside);
    int32_t a, b, c;
    for (a = t->first[0]; a < t->last[0]; ++a) {
        for (b = t->first[1]; b < t->last[1]; ++b) {
            const float *tap = w + ((a * win->kernel[1] + b) * win->kernel[2] + t->first[2]) * job->padded;
            const float *from = x + qir_under_tap(win, t, a, b, t->first[2]) * job->channels;
            for (c = t->first[2]; c < t->last[2]; ++c, tap += job->padded, from += next) {
                const QIR_VF weight = QIR_LOAD(tap);
                sum0 = QIR_FMA(qir_conv_f32f32_depthwise_some(from, count), weight, sum0);
                if (form != qir_conv_f32f32_depthwise_single) {
                    const QIR_VF weight1 = vectors ? QIR_LOAD(tap + beside) : weight;
                    const QIR_VF weight2 = vectors ? QIR_LOAD(tap + 2 * beside) : weight;
                    const QIR_VF weight3 = vectors ? QIR_LOAD(tap + 3 * beside) : weight;
                    sum1 = QIR_FMA(qir_conv_f32f32_depthwise_some(from + apart, count), weight1, sum1);
                    sum2 = QIR_FMA(qir_conv_f32f32_depthwise_some(from + 2 * apart, count), weight2, sum2);
                    sum3 = QIR_FMA(qir_conv_f32f32_depthwise_some(from + 3 * apart, count), weight3, sum3);
                }
            }
        }
    }
    qir_conv_f32f32_depthwise_put(job, y, count, sum0);
    if (form != qir_conv_f32f32_depthwise_single) {
        qir_conv_f32f32_depthwise_put(job, y + after, count, sum1);
        qir_conv_f32f32_depthwise_put(job, y + 2 * after, count, sum2);
        qir_conv_f32f32_depthwise_put(job, y + 3 * after, count, sum3);
    }
}

/* All channels of four pixels. */
QIR_ISA QIR_ALONE static void qir_conv_f32f32_depthwise_four(const qir_conv_f32f32_depthwise_job *job, const qir_taps *t,
                                                             const float *x, const float *w, const float *bias, float *y) {
    const int form = qir_conv_f32f32_depthwise_pixels;
    const int32_t channels = (int32_t)job->channels;
    int32_t j;
    for (j = 0; j + QIR_WIDTH <= channels; j += QIR_WIDTH) {
        qir_conv_f32f32_depthwise_block(job, t, x + j, w + j, bias + j, form, QIR_WIDTH, y + j);
    }
    if (j < channels) {
        qir_conv_f32f32_depthwise_block(job, t, x + j, w + j, bias + j, form, channels - j, y + j);
    }
}

/* All channels of one pixel. */
QIR_ISA QIR_ALONE static void qir_conv_f32f32_depthwise_one(const qir_conv_f32f32_depthwise_job *job, const qir_taps *t,
                                                            const float *x, const float *w, const float *bias, float *y) {
    const int form = qir_conv_f32f32_depthwise_single;
    const int32_t channels = (int32_t)job->channels;
    int32_t j;
    for (j = 0; j + 4 * QIR_WIDTH <= channels; j += 4 * QIR_WIDTH) {
        qir_conv_f32f32_depthwise_block(job, t, x + j, w + j, bias + j, qir_conv_f32f32_depthwise_vectors, QIR_WIDTH,
                                        y + j);
    }
    for (; j + QIR_WIDTH <= channels; j += QIR_WIDTH) {
        qir_conv_f32f32_depthwise_block(job, t, x + j, w + j, bias + j, form, QIR_WIDTH, y + j);
    }
    if (j < channels) {
        qir_conv_f32f32_depthwise_block(job, t, x + j, w + j, bias + j, form, channels - j, y + j);
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
