#include "../../runtime/qir_f32_tiles.h"
#include "matmul_f32.h"

#include <math.h>

/* A panel of columns of b as [depth][2 * QIR_WIDTH], times alpha, zeros beyond the last. */
QIR_ISA static void qir_matmul_f32f32_pack(const qir_matmul_f32_shape *s, const float *b, float alpha, int32_t columns,
                                           float *QIR_RESTRICT to) {
    const int32_t width = columns < 2 * QIR_WIDTH ? columns : 2 * QIR_WIDTH;
    const QIR_VF factor = QIR_ALL(alpha);
    int32_t k, j;
    if (s->b_column_stride == 1 && width == 2 * QIR_WIDTH) {
        for (k = 0; k < s->depth; ++k, b += s->b_depth_stride, to += 2 * QIR_WIDTH) {
            QIR_STORE(to, QIR_MUL(factor, QIR_LOAD(b)));
            QIR_STORE(to + QIR_WIDTH, QIR_MUL(factor, QIR_LOAD(b + QIR_WIDTH)));
        }
        return;
    }
    for (k = 0; k < s->depth; ++k, b += s->b_depth_stride, to += 2 * QIR_WIDTH) {
        for (j = 0; j < width; ++j) {
            to[j] = alpha * b[(ptrdiff_t)j * s->b_column_stride];
        }
        for (; j < 2 * QIR_WIDTH; ++j) {
            to[j] = 0.0f;
        }
    }
}

/* Rows of a, whose elements do not lie together, as [rows][depth]. */
static void qir_matmul_f32f32_gather(const qir_matmul_f32_shape *s, const float *a, float *QIR_RESTRICT to) {
    int32_t row, k;
    for (row = 0; row < s->rows; ++row) {
        for (k = 0; k < s->depth; ++k) {
            *to++ = a[(ptrdiff_t)row * s->a_row_stride + (ptrdiff_t)k * s->a_depth_stride];
        }
    }
}

/* y += beta * bias. */
static void qir_matmul_f32f32_add(const qir_matmul_f32_shape *s, float beta, const float *bias, float *QIR_RESTRICT y) {
    int32_t row, column;
    for (row = 0; row < s->rows; ++row) {
        const float *const add = bias + (ptrdiff_t)row * s->bias_row_stride;
        for (column = 0; column < s->columns; ++column) {
            *y++ += beta * add[(ptrdiff_t)column * s->bias_column_stride];
        }
    }
}

/* scratch: floats [2 * QIR_WIDTH] of zeros, a panel [depth][2 * QIR_WIDTH], and [rows][depth] where a is gathered. */
void qir_matmul_f32f32__vectors(const qir_matmul_f32_shape *s, float alpha, float beta, const float *QIR_RESTRICT a,
                                const float *QIR_RESTRICT b, const float *QIR_RESTRICT bias, float *QIR_RESTRICT y,
                                void *scratch) {
    const int32_t groups = qir_broadcast_rows(&s->batch), nowhere = 0;
    float *const zeros = (float *)scratch, *const panel = zeros + 2 * QIR_WIDTH;
    float *const lines = panel + (ptrdiff_t)s->depth * (2 * QIR_WIDTH);
    int32_t group, inner, column;
    qir_f32_tile t = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    memset(zeros, 0, 2 * QIR_WIDTH * sizeof(float));
    t.segment = &nowhere;
    t.segments = 1;
    t.length = s->depth;
    t.stride = s->a_depth_stride == 1 ? s->a_row_stride : s->depth;
    t.step = s->columns;
    t.weights = panel;
    t.bias = zeros;
    t.low = -INFINITY;
    t.high = INFINITY;
    for (group = 0; group < groups; ++group) {
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(&s->batch, group, &a_start, &b_start);
        for (inner = 0; inner < s->batch.size[5]; ++inner, y += (ptrdiff_t)s->rows * s->columns) {
            const float *from = a + a_start + (ptrdiff_t)inner * s->batch.a_stride[5];
            const float *const other = b + b_start + (ptrdiff_t)inner * s->batch.b_stride[5];
            if (s->a_depth_stride != 1) {
                qir_matmul_f32f32_gather(s, from, lines);
                from = lines;
            }
            for (column = 0; column < s->columns; column += 2 * QIR_WIDTH) {
                t.columns = s->columns - column;
                qir_matmul_f32f32_pack(s, other + (ptrdiff_t)column * s->b_column_stride, alpha, t.columns, panel);
                QIR_TILE_LINE(&t, from, s->rows, y + column);
            }
            if (beta != 0.0f) {
                qir_matmul_f32f32_add(s, beta, bias, y);
            }
        }
    }
}
