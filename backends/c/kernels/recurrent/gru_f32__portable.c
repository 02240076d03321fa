#include "recurrent.h"

/* scratch: floats [7][hidden]. */
void qir_gru_f32__portable(const qir_recurrent_shape *s, const float *x, const float *w, const float *r,
                              const float *bias, const int32_t *lengths, const float *initial_h,
                              void *y_out, void *h_out, void *scratch) {
    const int32_t hidden = s->hidden;
    const ptrdiff_t w_gate = qir_recurrent_gate_size(s, s->inputs), r_gate = qir_recurrent_gate_size(s, hidden);
    float *const gx = (float *)scratch, *const gh = gx + 3 * (ptrdiff_t)hidden;
    float *const y = (float *)y_out;
    float *const last = gh + 2 * (ptrdiff_t)hidden, *const reset = last + hidden;
    int32_t d, n, step, g, j;
    for (d = 0; d < s->directions; ++d) {
        const float *const wd = w + d * 3 * w_gate, *const rd = r + d * 3 * r_gate;
        const float *const wb = bias + (ptrdiff_t)d * 6 * hidden, *const rb = wb + 3 * (ptrdiff_t)hidden;
        for (n = 0; n < s->batch; ++n) {
            const ptrdiff_t state = (ptrdiff_t)d * s->state_direction_stride + (ptrdiff_t)n * s->state_sample_stride;
            float *const h = (float *)h_out + state;
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
                for (g = 0; g < 3; ++g) {
                    qir_recurrent_gate(s, wd + g * w_gate, s->inputs, from, wb + g * hidden, gx + g * hidden);
                    if (g < 2 || s->variant) {
                        qir_recurrent_gate(s, rd + g * r_gate, hidden, h, rb + g * hidden, gh + g * hidden);
                    }
                }
                for (j = 0; j < 2 * hidden; ++j) {
                    gx[j] = qir_recurrent_apply(s, d * 3, qir_recurrent_clip(s, gx[j] + gh[j]));
                }
                if (s->variant) {
                    for (j = 0; j < hidden; ++j) {
                        last[j] *= gx[hidden + j];
                    }
                } else {
                    for (j = 0; j < hidden; ++j) {
                        reset[j] = gx[hidden + j] * h[j];
                    }
                    qir_recurrent_gate(s, rd + 2 * r_gate, hidden, reset, rb + 2 * (ptrdiff_t)hidden, last);
                }
                for (j = 0; j < hidden; ++j) {
                    const float v = gx[2 * (ptrdiff_t)hidden + j] + last[j];
                    const float fresh = qir_recurrent_apply(s, d * 3 + 1, qir_recurrent_clip(s, v));
                    h[j] = (1.0f - gx[j]) * fresh + gx[j] * h[j];
                }
                if (s->writes_y) {
                    (void)memcpy(to, h, (size_t)hidden * sizeof(float));
                }
            }
        }
    }
}
