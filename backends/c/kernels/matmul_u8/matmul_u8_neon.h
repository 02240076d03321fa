/* Two matrices of codes as rows and panels, for the tiles on ARM's vectors.

   These take bytes: a' = a - shift, where shift is 128 for those that take int8 and 0 for those that take uint8, and
   b' = b - 128. With za' = a_zero_point - shift and zb' = b_zero_point - 128

       sum of (a - a_zero_point) (b - b_zero_point) = sum of a' b' - zb' sum of a' - za' sum of b' + depth za' zb'

   the second term is the offset of a row, the last two are the bias of a column. Sums on the way may wrap around: the
   result fits int32. */
#ifndef QIR_MATMUL_U8_NEON_H
#define QIR_MATMUL_U8_NEON_H

#include "../../runtime/qir_neon.h"
#include "../../runtime/qir_panels.h"
#include "matmul_u8.h"

/* A step of a panel: [channel][4], or [4 channels][first two codes, last two][channel][2], or [channel][8]. */
enum { QIR_MATMUL_U8_FOURS, QIR_MATMUL_U8_TWOS, QIR_MATMUL_U8_EIGHTS };

/* Codes of a row of a in runs of `run` bytes, `hop` bytes apart, filled up with zeros; gives the sum of a'. */
static inline int32_t qir_matmul_u8_row(const qir_matmul_u8_shape *s, const uint8_t *a, int32_t shift, int32_t run,
                                        int32_t hop, uint8_t *to) {
    const ptrdiff_t right = s->a_depth_stride;
    int32_t k, i, sum = 0;
    for (k = 0; k < s->depth; k += run, to += hop) {
        const int32_t count = s->depth - k < run ? s->depth - k : run;
        if (right == 1) {
            for (i = 0; i < count; ++i) {
                to[i] = (uint8_t)(a[k + i] ^ shift);
                sum += a[k + i] - shift;
            }
        } else {
            for (i = 0; i < count; ++i) {
                const uint8_t code = a[(k + i) * right];
                to[i] = (uint8_t)(code ^ shift);
                sum += code - shift;
            }
        }
        memset(to + count, 0, (size_t)(run - count));
    }
    return sum;
}

/* Lists the rows of a, those beyond the last one filled up. */
static inline void qir_matmul_u8_rows(const qir_matmul_u8_shape *s, const uint8_t *a, int32_t together, int32_t length,
                                      uint8_t *codes, qir_row *row) {
    const int32_t shift = together == 1 ? 128 : 0, run = together == 1 ? length : 8;
    int32_t i;
    for (i = 0; i < s->rows || i % together; ++i, ++row) {
        const int32_t from = i < s->rows ? i : 0;
        row->from = (ptrdiff_t)(i - i % together) * length;
        row->to = (ptrdiff_t)(i < s->rows ? i : s->rows - 1) * s->columns;
        row->offset = (128 - s->b_zero_point) * qir_matmul_u8_row(s, a + (ptrdiff_t)from * s->a_row_stride, shift, run,
                                                                  8 * together, codes + row->from + 8 * (i % together));
    }
}

/* The last two terms for `columns` columns of b: za' (depth b_zero_point - sum of b). */
static inline void qir_matmul_u8_bias(const qir_matmul_u8_shape *s, const uint8_t *b, int32_t columns, int32_t shift,
                                      int32_t *bias) {
    const ptrdiff_t down = s->b_depth_stride, right = s->b_column_stride;
    const uint32_t za = (uint32_t)(s->a_zero_point - shift), all = (uint32_t)s->depth * (uint32_t)s->b_zero_point;
    uint32_t sums[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    int32_t k, j;
    if (right == 1 && columns == 16) {
        for (k = 0; k < s->depth; ++k) {
            for (j = 0; j < 16; ++j) {
                sums[j] += b[k * down + j];
            }
        }
    } else {
        for (j = 0; j < columns; ++j) {
            for (k = 0; k < s->depth; ++k) {
                sums[j] += b[k * down + j * right];
            }
        }
    }
    for (j = 0; j < 16; ++j) {
        bias[j] = (int32_t)(za * (all - sums[j]));
    }
}

/* Codes k .. k + 3 of a column, zeros beyond the last. */
static inline uint32_t qir_matmul_u8_four(const qir_matmul_u8_shape *s, const uint8_t *b, int32_t k) {
    const ptrdiff_t down = s->b_depth_stride;
    uint8_t codes[4] = {128, 128, 128, 128};
    uint32_t four;
    int32_t i;
    if (down == 1 && k + 4 <= s->depth) {
        memcpy(codes, b + k, 4);
    } else {
        for (i = 0; i < 4 && k + i < s->depth; ++i) {
            codes[i] = b[(k + i) * down];
        }
    }
    memcpy(&four, codes, 4);
    return four ^ 0x80808080u;
}

/* Four depths of sixteen neighbouring columns as [channel][4]. */
static inline void qir_matmul_u8_transposed(const qir_matmul_u8_shape *s, const uint8_t *b, int32_t k, uint8_t *to) {
    const ptrdiff_t down = s->b_depth_stride;
    const uint8x16_t least = vdupq_n_u8(128);
    uint8x16x4_t rows;
    b += k * down;
    rows.val[0] = veorq_u8(vld1q_u8(b), least);
    rows.val[1] = veorq_u8(vld1q_u8(b + down), least);
    rows.val[2] = veorq_u8(vld1q_u8(b + 2 * down), least);
    rows.val[3] = veorq_u8(vld1q_u8(b + 3 * down), least);
    vst4q_u8(to, rows);
}

/* Columns of b as a panel, zeros where there is no column or code. */
static inline void qir_matmul_u8_pack(const qir_matmul_u8_shape *s, const uint8_t *b, int32_t columns, int32_t steps,
                                      int32_t layout, uint8_t *to) {
    const ptrdiff_t right = s->b_column_stride;
    const int32_t fours = layout == QIR_MATMUL_U8_EIGHTS ? 2 * steps : steps;
    int32_t four, j;
    for (four = 0; four < fours; ++four) {
        const int32_t k = 4 * four;
        uint32_t words[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
        if (columns == 16 && right == 1 && k + 4 <= s->depth) {
            qir_matmul_u8_transposed(s, b, k, (uint8_t *)words);
        } else {
            for (j = 0; j < columns; ++j) {
                words[j] = qir_matmul_u8_four(s, b + j * right, k);
            }
        }
        if (layout == QIR_MATMUL_U8_FOURS) {
            memcpy(to, words, 64);
            to += 64;
        } else if (layout == QIR_MATMUL_U8_EIGHTS) {
            for (j = 0; j < 16; ++j) {
                memcpy(to + 8 * j + four % 2 * 4, &words[j], 4);
            }
            to += four % 2 * 128;
        } else {
            for (j = 0; j < 16; j += 4, to += 16) {
                const uint16x4x2_t halves = vuzp_u16(vreinterpret_u16_u32(vld1_u32(words + j)),
                                                     vreinterpret_u16_u32(vld1_u32(words + j + 2)));
                vst1_u16((uint16_t *)(void *)to, halves.val[0]);
                vst1_u16((uint16_t *)(void *)(to + 8), halves.val[1]);
            }
        }
    }
}

/* scratch: the list of rows, as many as go together; their codes, whole steps of them; a panel. */
static inline void qir_matmul_u8_by_panels(const qir_matmul_u8_shape *s, const qir_panel_tiles *k, int32_t layout,
                                           float multiplier, const uint8_t *a, const uint8_t *b, void *scratch,
                                           void *y) {
    const int32_t depth = (int32_t)k->step / 16, steps = (s->depth + depth - 1) / depth, length = steps * depth;
    const int32_t groups = qir_broadcast_rows(&s->batch), shift = k->together == 1 ? 128 : 0;
    const int32_t rows = (s->rows + k->together - 1) / k->together * k->together;
    qir_row *const row = (qir_row *)scratch;
    uint8_t *const codes = (uint8_t *)(row + rows), *const panel = codes + (ptrdiff_t)rows * length;
    const void *segment = codes;
    uint8_t *to = (uint8_t *)y;
    int32_t bias[16], group, inner, column, i;
    float scale[16];
    qir_panel p;
    for (i = 0; i < 16; ++i) {
        scale[i] = multiplier;
    }
    p.segment = &segment;
    p.from = 0;
    p.segments = 1;
    p.steps = steps;
    p.weights = (const int8_t *)panel;
    p.bias = bias;
    p.multiplier = scale;
    p.requant = &s->requant;
    p.sum = 0;
    p.other = 0;
    for (group = 0; group < groups; ++group) {
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(&s->batch, group, &a_start, &b_start);
        for (inner = 0; inner < s->batch.size[5]; ++inner) {
            const uint8_t *const from = b + b_start + (ptrdiff_t)inner * s->batch.b_stride[5];
            qir_matmul_u8_rows(s, a + a_start + (ptrdiff_t)inner * s->batch.a_stride[5], k->together, length, codes,
                               row);
            for (column = 0; column < s->columns; column += 16) {
                const uint8_t *const first = from + (ptrdiff_t)column * s->b_column_stride;
                const int32_t columns = s->columns - column < 16 ? s->columns - column : 16;
                p.channels = s->columns - column;
                qir_matmul_u8_bias(s, first, columns, shift, bias);
                qir_matmul_u8_pack(s, first, columns, steps, layout, panel);
                qir_by_panel(&p, k, row, rows, to + column * k->size);
            }
            to += (ptrdiff_t)s->rows * s->columns * k->size;
        }
    }
}

#endif
