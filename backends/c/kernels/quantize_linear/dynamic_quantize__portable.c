#include "quantize_linear.h"

void qir_dynamic_quantize_f32_u8__portable(int32_t count, const float *QIR_RESTRICT x, uint8_t *QIR_RESTRICT y,
                                           void *scale_out, void *zero_out) {
    float low = 0.0f, high = 0.0f, scale;
    qir_requant bounds;
    int32_t i;
    for (i = 0; i < count; ++i) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    scale = high > low ? (high - low) / 255.0f : 1.0f;
    bounds.low = 0;
    bounds.high = 255;
    bounds.zero_point = 0;
    bounds.zero_point = qir_code(-low / scale, &bounds);
    bounds.low = -bounds.zero_point;
    bounds.high = 255 - bounds.zero_point;
    *(float *)scale_out = scale;
    *(uint8_t *)zero_out = (uint8_t)bounds.zero_point;
    for (i = 0; i < count; ++i) {
        y[i] = (uint8_t)qir_code(x[i] / scale, &bounds);
    }
}
