#include "recurrent.h"

/* scratch: floats [8][hidden]. */
void qir_lstm_f32__portable(const qir_recurrent_shape *s, const float *x, const float *w, const float *r,
                              const float *bias, const int32_t *lengths, const float *initial_h,
                              const float *initial_c, const float *peepholes,
                              void *y_out, void *h_out, void *c_out, void *scratch) {
    const int32_t hidden = s->hidden;
    const ptrdiff_t w_gate = qir_recurrent_gate_size(s, s->inputs), r_gate = qir_recurrent_gate_size(s, hidden);
    float *const gx = (float *)scratch, *const gh = gx + 4 * (ptrdiff_t)hidden;
    float *const y = (float *)y_out;
    int32_t d, n, step, g, j;
    for (d = 0; d < s->directions; ++d) {
        const float *const wd = w + d * 4 * w_gate, *const rd = r + d * 4 * r_gate;
        const float *const wb = bias + (ptrdiff_t)d * 8 * hidden, *const rb = wb + 4 * (ptrdiff_t)hidden;
        for (n = 0; n < s->batch; ++n) {
            const ptrdiff_t state = (ptrdiff_t)d * s->state_direction_stride + (ptrdiff_t)n * s->state_sample_stride;
            float *const h = (float *)h_out + state;
            float *const c = (float *)c_out + state;
            const float *const p = peepholes + (ptrdiff_t)d * 3 * hidden;
            (void)memcpy(c, initial_c + state, (size_t)hidden * sizeof(float));
            (void)memcpy(h, initial_h + state, (size_t)hidden * sizeof(float));
            for (step = 0; step < s->steps; ++step) {
                const int32_t t = qir_recurrent_time(s, d, step, lengths[n]);
                const float *const from = x + (ptrdiff_t)t * s->x_step_stride + (ptrdiff_t)n * s->x_sample_stride;
                float *to = h;
                if (s->writes_y) {
                    to = y + (ptrdiff_t)t * s->y_step_stride + (ptrdiff_t)d * s->y_direction_stride +
                         (ptrdiff_t)n * s->y_sample_stride;
                }
                if (step >= lengths[n]) {
                    if (s->writes_y) {
                        (void)memset(to, 0, (size_t)hidden * sizeof(float));
                    }
                    continue;
                }
                for (g = 0; g < 4; ++g) {
                    qir_recurrent_gate(s, wd + g * w_gate, s->inputs, from, wb + g * hidden, gx + g * hidden);
                    qir_recurrent_gate(s, rd + g * r_gate, hidden, h, rb + g * hidden, gh + g * hidden);
                }
                for (j = 0; j < 4 * hidden; ++j) {
                    gx[j] += gh[j];
                }
                for (j = 0; j < hidden; ++j) {
                    const float *const v = gx + j;
                    const float i = qir_recurrent_apply(s, d * 3, qir_recurrent_clip(s, v[0] + p[j] * c[j]));
                    const float forget = v[2 * (ptrdiff_t)hidden] + p[2 * (ptrdiff_t)hidden + j] * c[j];
                    const float f = s->variant ? 1.0f - i : qir_recurrent_apply(s, d * 3, qir_recurrent_clip(s, forget));
                    const float new_c = qir_recurrent_apply(s, d * 3 + 1, qir_recurrent_clip(s, v[3 * (ptrdiff_t)hidden]));
                    float o;
                    c[j] = f * c[j] + i * new_c;
                    o = qir_recurrent_apply(s, d * 3, qir_recurrent_clip(s, v[hidden] + p[hidden + j] * c[j]));
                    h[j] = o * qir_recurrent_apply(s, d * 3 + 2, c[j]);
                }
                if (s->writes_y) {
                    (void)memcpy(to, h, (size_t)hidden * sizeof(float));
                }
            }
        }
    }
}
