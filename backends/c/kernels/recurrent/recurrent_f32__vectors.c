#include "../../runtime/qir_f32_functions.h"
#include "../../runtime/qir_f32_tiles.h"
#include "recurrent.h"

/* template: begin */
#define QIR_CELL qir_recurrent_f32_lstm
#define QIR_GATES 4
/* template: end */

/* One direction of one sample at one step. */
typedef struct {
    const qir_recurrent_shape *s;
    qir_f32_tile recurrent; /* R; its bias is what the inputs have given, and where that must be apart its own */
    const float *peepholes;
    float *gates; /* of the step, then room for as many */
    float *h;
    float *c;
} qir_recurrent_f32_step;

QIR_ISA static QIR_INLINE QIR_VF qir_recurrent_f32_some(const float *from, int32_t count) {
    return count >= QIR_WIDTH ? QIR_LOAD(from) : QIR_LOAD_PART(from, count);
}

QIR_ISA static QIR_INLINE void qir_recurrent_f32_put(float *to, int32_t count, QIR_VF v) {
    if (count >= QIR_WIDTH) {
        QIR_STORE(to, v);
    } else {
        QIR_STORE_PART(to, count, v);
    }
}

QIR_ISA static QIR_INLINE QIR_VF qir_recurrent_f32_clip(const qir_recurrent_shape *s, QIR_VF v) {
    return QIR_MIN(QIR_ALL(s->clip), QIR_MAX(QIR_ALL(-s->clip), v));
}

/* Gates i, o, f, c. */
QIR_ISA QIR_ALONE static void qir_recurrent_f32_lstm(qir_recurrent_f32_step *at) {
    const qir_recurrent_shape *const s = at->s;
    const int32_t hidden = s->hidden;
    const float *const g = at->gates, *const p = at->peepholes;
    int32_t j;
    QIR_TILE_PRODUCT(&at->recurrent, at->h, 0, 1, 1, at->gates, 0);
    for (j = 0; j < hidden; j += QIR_WIDTH) {
        const int32_t left = hidden - j;
        const QIR_VF c = qir_recurrent_f32_some(at->c + j, left);
        QIR_VF i = qir_recurrent_f32_some(g + j, left), o = qir_recurrent_f32_some(g + hidden + j, left);
        QIR_VF f = qir_recurrent_f32_some(g + 2 * hidden + j, left), n = qir_recurrent_f32_some(g + 3 * hidden + j, left);
        QIR_VF fresh;
        i = QIR_SIGMOID(qir_recurrent_f32_clip(s, QIR_FMA(qir_recurrent_f32_some(p + j, left), c, i)));
        f = QIR_FMA(qir_recurrent_f32_some(p + 2 * hidden + j, left), c, f);
        f = s->variant ? QIR_SUB(QIR_ALL(1.0f), i) : QIR_SIGMOID(qir_recurrent_f32_clip(s, f));
        n = QIR_TANH(qir_recurrent_f32_clip(s, n));
        fresh = QIR_FMA(f, c, QIR_MUL(i, n));
        o = QIR_SIGMOID(qir_recurrent_f32_clip(s, QIR_FMA(qir_recurrent_f32_some(p + hidden + j, left), fresh, o)));
        qir_recurrent_f32_put(at->c + j, left, fresh);
        qir_recurrent_f32_put(at->h + j, left, QIR_MUL(o, QIR_TANH(fresh)));
    }
}

/* Gates z, r, h: R of the first two, then of the third, whose bias is its own where it stands before the reset. */
QIR_ISA QIR_ALONE static void qir_recurrent_f32_gru(qir_recurrent_f32_step *at) {
    const qir_recurrent_shape *const s = at->s;
    const int32_t hidden = s->hidden, panels = (2 * hidden + 2 * QIR_WIDTH - 1) / (2 * QIR_WIDTH);
    float *const g = at->gates, *const reset = g + 2 * hidden, *const room = reset + hidden;
    const float *const given = at->recurrent.bias + 2 * hidden;
    qir_f32_tile t = at->recurrent;
    int32_t j;
    t.columns = 2 * hidden;
    QIR_TILE_PRODUCT(&t, at->h, 0, 1, 1, g, 0);
    for (j = 0; j < 2 * hidden; j += QIR_WIDTH) {
        const QIR_VF v = qir_recurrent_f32_clip(s, qir_recurrent_f32_some(g + j, 2 * hidden - j));
        qir_recurrent_f32_put(g + j, 2 * hidden - j, QIR_SIGMOID(v));
    }
    t.columns = hidden;
    t.weights += (ptrdiff_t)panels * t.length * (2 * QIR_WIDTH);
    for (j = 0; j < hidden; j += QIR_WIDTH) {
        const int32_t left = hidden - j;
        const QIR_VF h = qir_recurrent_f32_some(at->h + j, left), r = qir_recurrent_f32_some(g + hidden + j, left);
        qir_recurrent_f32_put(reset + j, left, s->variant ? h : QIR_MUL(r, h));
    }
    t.bias = s->variant ? at->peepholes : given;
    QIR_TILE_PRODUCT(&t, reset, 0, 1, 1, room, 0);
    for (j = 0; j < hidden; j += QIR_WIDTH) {
        const int32_t left = hidden - j;
        const QIR_VF h = qir_recurrent_f32_some(at->h + j, left), z = qir_recurrent_f32_some(g + j, left);
        QIR_VF n = qir_recurrent_f32_some(room + j, left);
        if (s->variant) {
            n = QIR_FMA(n, qir_recurrent_f32_some(g + hidden + j, left), qir_recurrent_f32_some(given + j, left));
        }
        n = QIR_TANH(qir_recurrent_f32_clip(s, n));
        qir_recurrent_f32_put(at->h + j, left, QIR_FMA(z, QIR_SUB(h, n), n));
    }
}

QIR_ISA QIR_ALONE static void qir_recurrent_f32_rnn(qir_recurrent_f32_step *at) {
    const int32_t hidden = at->s->hidden;
    int32_t j;
    QIR_TILE_PRODUCT(&at->recurrent, at->h, 0, 1, 1, at->gates, 0);
    for (j = 0; j < hidden; j += QIR_WIDTH) {
        const QIR_VF v = qir_recurrent_f32_some(at->gates + j, hidden - j);
        qir_recurrent_f32_put(at->h + j, hidden - j, QIR_TANH(qir_recurrent_f32_clip(at->s, v)));
    }
}

/* All steps of one sample in one direction; what the inputs give is computed for up to sixteen steps at once. */
static void qir_recurrent_f32_sample(qir_recurrent_f32_step *at, const qir_f32_tile *inputs, int32_t direction,
                                     int32_t length, const float *x, float *y, float *given) {
    const qir_recurrent_shape *const s = at->s;
    const int32_t back = direction == 1 || s->backward;
    qir_f32_tile t = *inputs;
    int32_t step, i, count;
    t.stride = back ? -(ptrdiff_t)s->x_step_stride : s->x_step_stride;
    for (step = 0; step < length; step += count) {
        count = length - step < 16 ? length - step : 16;
        QIR_TILE_PRODUCT(&t, x + (ptrdiff_t)qir_recurrent_time(s, direction, step, length) * s->x_step_stride, 0, 1, count,
                         given, 0);
        for (i = 0; i < count; ++i) {
            const int32_t time = qir_recurrent_time(s, direction, step + i, length);
            at->recurrent.bias = given + i * t.step;
            QIR_CELL(at);
            if (s->writes_y) {
                memcpy(y + (ptrdiff_t)time * s->y_step_stride, at->h, (size_t)s->hidden * sizeof(float));
            }
        }
    }
    for (step = length; s->writes_y && step < s->steps; ++step) {
        memset(y + (ptrdiff_t)step * s->y_step_stride, 0, (size_t)s->hidden * sizeof(float));
    }
}

/* w, r: [direction][panel][inputs or hidden][2 * QIR_WIDTH] over the units of all gates, r of a GRU over those of two gates,
   then over the third's; bias [direction][panel][2 * QIR_WIDTH] is the sum of both, but for the third of a GRU whose reset
   comes after R: that has its own in `apart`. apart: else peepholes of an LSTM. scratch: floats [18][pitch]. */
void qir_recurrent_f32__vectors(const qir_recurrent_shape *s, int32_t pitch, int32_t r_size, const float *x, const float *w,
                                const float *r, const float *bias, const float *apart, int32_t apart_size,
                                const int32_t *lengths, const float *initial_h, const float *initial_c, void *y_out,
                                void *h_out, void *c_out, void *scratch) {
    const int32_t nowhere = 0;
    const size_t bytes = (size_t)s->hidden * sizeof(float);
    float *const y = (float *)y_out;
    qir_f32_tile inputs = {0, 1, 0, 0, 0, 0, 0, 0, 0, 0};
    qir_recurrent_f32_step at;
    int32_t d, n;
    inputs.segment = &nowhere;
    inputs.length = s->inputs;
    inputs.step = pitch;
    inputs.columns = QIR_GATES * s->hidden;
    inputs.low = -INFINITY;
    inputs.high = INFINITY;
    at.s = s;
    at.gates = (float *)scratch + 16 * (ptrdiff_t)pitch;
    for (d = 0; d < s->directions; ++d) {
        inputs.weights = w + (ptrdiff_t)d * s->inputs * pitch;
        inputs.bias = bias + (ptrdiff_t)d * pitch;
        for (n = 0; n < s->batch; ++n) {
            const ptrdiff_t state = (ptrdiff_t)d * s->state_direction_stride + (ptrdiff_t)n * s->state_sample_stride;
            at.recurrent = inputs;
            at.recurrent.length = s->hidden;
            at.recurrent.weights = r + (ptrdiff_t)d * r_size;
            at.peepholes = apart + (ptrdiff_t)d * apart_size;
            at.h = (float *)h_out + state;
            at.c = (float *)c_out + state;
            memcpy(at.h, initial_h + state, bytes);
            if (initial_c) {
                memcpy(at.c, initial_c + state, bytes);
            }
            qir_recurrent_f32_sample(
                &at, &inputs, d, lengths[n], x + (ptrdiff_t)n * s->x_sample_stride,
                s->writes_y ? y + (ptrdiff_t)d * s->y_direction_stride + (ptrdiff_t)n * s->y_sample_stride : y,
                (float *)scratch);
        }
    }
}
