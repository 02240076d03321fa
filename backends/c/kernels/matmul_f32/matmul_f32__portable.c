#include "matmul_f32.h"

/* template: begin */
#define QIR_W float
#define QIR_GROUP 8
#define QIR_FLOATS qir_floats_f32
/* template: end */

/* Eight columns of b as [depth][8], zeros beyond the last. */
static void qir_matmul_f32f32_pack(const qir_matmul_f32_shape *s, const float *b, int32_t width, float *to) {
    int32_t k, j;
    for (k = 0; k < s->depth; ++k, b += s->b_depth_stride, to += 8) {
        for (j = 0; j < width; ++j) {
            to[j] = b[(ptrdiff_t)j * s->b_column_stride];
        }
        for (; j < 8; ++j) {
            to[j] = 0.0f;
        }
    }
}

/* Up to 64 rows of one product; room: floats [depth][8] for columns, then [4][depth] for rows. Eight packed columns take
   QIR_GROUP elements; scale and zero_point, of codes alone, hold for as many columns. */
static void qir_matmul_f32f32_rows(const qir_matmul_f32_shape *s, float alpha, float beta, int32_t first, int32_t count,
                                const float *a, const QIR_W *b, const float *scale, const int16_t *zero_point,
                                const float *bias, float *y, float *room) {
    float *const columns = room, *const lines = room + (ptrdiff_t)s->depth * 8;
    int32_t column, row, r, j, k;
    for (column = 0; column < s->columns; column += 8) {
        const int32_t width = s->columns - column < 8 ? s->columns - column : 8;
        const float *panel = columns;
        if (s->packed) {
            const ptrdiff_t at = (ptrdiff_t)(column / 8) * s->depth * QIR_GROUP;
            panel = QIR_FLOATS(b + at, scale, zero_point, column, s->depth, columns);
        } else {
            const float *const from = (const float *)(const void *)b;
            qir_matmul_f32f32_pack(s, from + (ptrdiff_t)column * s->b_column_stride, width, columns);
        }
        for (row = first; row < first + count; row += 4) {
            const int32_t high = first + count - row < 4 ? first + count - row : 4;
            const float *from = a + (ptrdiff_t)row * s->a_row_stride;
            ptrdiff_t step = s->a_row_stride;
            float acc[32];
            if (s->a_depth_stride != 1) {
                for (r = 0; r < high; ++r) {
                    for (k = 0; k < s->depth; ++k) {
                        lines[(ptrdiff_t)r * s->depth + k] = from[r * step + (ptrdiff_t)k * s->a_depth_stride];
                    }
                }
                from = lines;
                step = s->depth;
            }
            qir_tile_rows_f32(from, step, high, panel, s->depth, acc);
            for (r = 0; r < high; ++r) {
                const float *const add = bias + (ptrdiff_t)(row + r) * s->bias_row_stride;
                float *const to = y + (ptrdiff_t)(row + r) * s->columns + column;
                for (j = 0; j < width; ++j) {
                    to[j] = alpha * acc[r * 8 + j] + beta * add[(ptrdiff_t)(column + j) * s->bias_column_stride];
                }
            }
        }
    }
}

/* scratch: floats [12][depth]. */
void qir_matmul_f32f32__portable(const qir_matmul_f32_shape *s, float alpha, float beta, const float *QIR_RESTRICT a,
                              const QIR_W *QIR_RESTRICT b, const float *QIR_RESTRICT scale,
                              const int16_t *QIR_RESTRICT zero_point, const float *QIR_RESTRICT bias,
                              float *QIR_RESTRICT y, void *scratch) {
    const int32_t groups = qir_broadcast_rows(&s->batch);
    int32_t group, inner, first;
    for (group = 0; group < groups; ++group) {
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(&s->batch, group, &a_start, &b_start);
        for (inner = 0; inner < s->batch.size[5]; ++inner) {
            for (first = 0; first < s->rows; first += 64) {
                qir_matmul_f32f32_rows(s, alpha, beta, first, s->rows - first < 64 ? s->rows - first : 64,
                                    a + a_start + (ptrdiff_t)inner * s->batch.a_stride[5],
                                    b + b_start + (ptrdiff_t)inner * s->batch.b_stride[5], scale, zero_point, bias, y,
                                    (float *)scratch);
            }
            y += (ptrdiff_t)s->rows * s->columns;
        }
    }
}
