/* Integer products and convolutions as ONNX defines them (MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv):

   acc = bias + sum of (x - x_zero) * (w - w_zero)       exact, modulo 2^32
   y   = acc, or saturate(rint(float32(acc) * (x_scale * w_scale / y_scale)) + y_zero)

   Scales and zero points may be one for all, one a row of the first operand or one a column (output channel) of the second:
   strides 0 or 1. Taps outside the input add nothing. */
#ifndef QIR_QLINEAR_H
#define QIR_QLINEAR_H

#include "../../runtime/qir_broadcast.h"
#include "../../runtime/qir_window.h"

typedef struct {
    qir_broadcast batch; /* the innermost size is walked like the others */
    int32_t rows;
    int32_t depth;
    int32_t columns;
    int32_t a_row_stride;
    int32_t a_depth_stride;
    int32_t b_depth_stride;
    int32_t b_column_stride;
    int32_t a_zero_stride;
    int32_t b_zero_stride;
    int32_t a_scale_stride;
    int32_t b_scale_stride;
} qir_qlinear_matmul_shape;

typedef struct {
    qir_window window;
    int32_t groups;
    int32_t in_channels;  /* of one group */
    int32_t out_channels; /* of one group */
    int32_t w_zero_stride;
    int32_t w_scale_stride;
} qir_qlinear_conv_shape;

static inline void qir_qlinear_store_s32(uint32_t acc, float factor, int32_t zero, int32_t *y) {
    (void)factor;
    (void)zero;
    *y = (int32_t)acc;
}

static inline int32_t qir_qlinear_code(uint32_t acc, float factor, int32_t zero, int32_t low, int32_t high) {
    qir_requant bounds;
    bounds.low = low - zero;
    bounds.high = high - zero;
    bounds.zero_point = zero;
    return qir_code((float)(int32_t)acc * factor, &bounds);
}

static inline void qir_qlinear_store_u8(uint32_t acc, float factor, int32_t zero, uint8_t *y) {
    *y = (uint8_t)qir_qlinear_code(acc, factor, zero, 0, 255);
}

static inline void qir_qlinear_store_s8(uint32_t acc, float factor, int32_t zero, int8_t *y) {
    *y = (int8_t)qir_qlinear_code(acc, factor, zero, -128, 127);
}

#endif
