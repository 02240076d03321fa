/* LSTM, GRU and RNN as ONNX defines them, float32. With x_t the input and h the hidden state before a step:

   LSTM (gates i, o, f, c)                                   GRU (gates z, r, h)
     i = F(Wi x + Ri h + bi + Pi * c)                          z = F(Wz x + Rz h + bz)
     f = F(Wf x + Rf h + bf + Pf * c)  or 1 - i (coupled)      r = F(Wr x + Rr h + br)
     c' = f * c + i * G(Wc x + Rc h + bc)                      n = G(Wh x + Wbh + r * (Rh h + Rbh))   linear_before_reset
     o = F(Wo x + Ro h + bo + Po * c')                         n = G(Wh x + Wbh + Rh (r * h) + Rbh)   otherwise
     h' = o * H(c')                                            h' = (1 - z) * n + z * h
   RNN: h' = F(W x + R h + b)

   Sums run over inputs and states ascending; a gate is (W x + Wb) + (R h + Rb). Gates are clipped to [-clip, clip] before
   their function. Samples shorter than the longest give zeros after their end; backward directions start at their end.
   Weights: [direction][gate][hidden][depth], or packed [direction][gate][ceil(hidden / 8)][depth][8].
   Biases [direction][2 * gates * hidden]; states lie at state_direction_stride and state_sample_stride. */
#ifndef QIR_RECURRENT_H
#define QIR_RECURRENT_H

#include "../../runtime/qir_dot_f32.h"

#include <math.h>

typedef struct {
    int32_t steps;
    int32_t batch;
    int32_t inputs;
    int32_t hidden;
    int32_t directions;
    int32_t backward; /* the first direction runs backward */
    int32_t packed;
    int32_t variant; /* LSTM: f = 1 - i; GRU: linear_before_reset */
    int32_t writes_y;
    int32_t x_step_stride;
    int32_t x_sample_stride;
    int32_t y_step_stride;
    int32_t y_direction_stride;
    int32_t y_sample_stride;
    int32_t state_direction_stride;
    int32_t state_sample_stride;
    float clip;
    int32_t function[6]; /* three a direction: F, G, H */
    float alpha[6];
    float beta[6];
} qir_recurrent_shape;

static inline float qir_recurrent_clip(const qir_recurrent_shape *s, float v) {
    v = v < -s->clip ? -s->clip : v;
    return v > s->clip ? s->clip : v;
}

static inline float qir_recurrent_apply(const qir_recurrent_shape *s, int32_t which, float v) {
    const float alpha = s->alpha[which], beta = s->beta[which];
    switch (s->function[which]) {
        case 0: /* Sigmoid */
            return 1.0f / (1.0f + expf(-v));
        case 1: /* Tanh */
            return tanhf(v);
        case 2: /* Relu */
            return v > 0.0f ? v : 0.0f;
        case 3: /* Affine */
            return alpha * v + beta;
        case 4: /* LeakyRelu */
            return v >= 0.0f ? v : alpha * v;
        case 5: /* ThresholdedRelu */
            return v > alpha ? v : 0.0f;
        case 6: /* ScaledTanh */
            return alpha * tanhf(beta * v);
        case 7: /* HardSigmoid */
            v = alpha * v + beta;
            v = v > 0.0f ? v : 0.0f;
            return v < 1.0f ? v : 1.0f;
        case 8: /* Elu */
            return v >= 0.0f ? v : alpha * (expf(v) - 1.0f);
        case 9: /* Softsign */
            return v / (1.0f + fabsf(v));
        default: /* Softplus */
            return v > 0.0f ? v + log1pf(expf(-v)) : log1pf(expf(v));
    }
}

/* y[j] = bias[j] + sum over k of w[j, k] * x[k], for the hidden units of one gate. */
static inline void qir_recurrent_gate(const qir_recurrent_shape *s, const float *w, int32_t depth, const float *x,
                                      const float *bias, float *y) {
    int32_t j, k;
    if (s->packed) {
        for (j = 0; j < s->hidden; j += 8, w += (ptrdiff_t)depth * 8) {
            const int32_t width = s->hidden - j < 8 ? s->hidden - j : 8;
            float acc[8];
            qir_tile_1x8_f32(x, w, depth, acc);
            for (k = 0; k < width; ++k) {
                y[j + k] = acc[k] + bias[j + k];
            }
        }
    } else {
        for (j = 0; j < s->hidden; ++j, w += depth) {
            float acc = 0.0f;
            for (k = 0; k < depth; ++k) {
                acc += w[k] * x[k];
            }
            y[j] = acc + bias[j];
        }
    }
}

/* Floats of one gate's weights. */
static inline ptrdiff_t qir_recurrent_gate_size(const qir_recurrent_shape *s, int32_t depth) {
    return (ptrdiff_t)(s->packed ? (s->hidden + 7) / 8 * 8 : s->hidden) * depth;
}

/* The time step that a direction treats as its step-th, of a sample with `length` steps. */
static inline int32_t qir_recurrent_time(const qir_recurrent_shape *s, int32_t direction, int32_t step, int32_t length) {
    return (direction == 1 || s->backward) && step < length ? length - 1 - step : step;
}

#endif
