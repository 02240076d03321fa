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

/* Sixteen codes, the second eight `hop` bytes after the first. */
static QIR_INLINE uint32x4_t qir_matmul_u8_sixteen(uint8x16_t codes, uint8x16_t flip, int32_t hop, uint8_t *to,
                                                   uint32x4_t sums) {
    const uint8x16_t flipped = veorq_u8(codes, flip);
    if (hop == 8) {
        vst1q_u8(to, flipped);
    } else {
        vst1_u8(to, vget_low_u8(flipped));
        vst1_u8(to + hop, vget_high_u8(flipped));
    }
    return vpadalq_u16(sums, vpaddlq_u8(codes));
}

/* Codes of a row of a, each eight `hop` bytes after those before, filled up with zeros to sixteen, of which only whole
   steps are wanted: what is too much lies where the next row or the panel comes. Gives the sum of a'. */
static QIR_INLINE int32_t qir_matmul_u8_row(const qir_matmul_u8_shape *s, const uint8_t *a, int32_t shift, int32_t hop,
                                            uint8_t *to) {
    const ptrdiff_t right = s->a_depth_stride;
    const uint8x16_t flip = vdupq_n_u8((uint8_t)shift);
    uint32x4_t sums = vdupq_n_u32(0);
    int32_t k = 0, i;
    for (; right == 1 && k + 16 <= s->depth; k += 16, to += 2 * hop) {
        sums = qir_matmul_u8_sixteen(vld1q_u8(a + k), flip, hop, to, sums);
    }
    for (; k < s->depth; k += 16, to += 2 * hop) {
        const int32_t count = s->depth - k < 16 ? s->depth - k : 16;
        uint8_t room[16];
        vst1q_u8(room, flip);
        for (i = 0; i < count; ++i) {
            room[i] = a[(k + i) * right];
        }
        sums = qir_matmul_u8_sixteen(vld1q_u8(room), flip, hop, to, sums);
    }
    return (int32_t)(vgetq_lane_u32(sums, 0) + vgetq_lane_u32(sums, 1) + vgetq_lane_u32(sums, 2) +
                     vgetq_lane_u32(sums, 3)) - shift * k;
}

/* Lists the rows of a, those beyond the last one filled up. */
static inline void qir_matmul_u8_rows(const qir_matmul_u8_shape *s, const uint8_t *a, int32_t together, int32_t length,
                                      uint8_t *codes, qir_row *row) {
    const int32_t shift = together == 1 ? 128 : 0;
    int32_t i;
    for (i = 0; i < s->rows || i % together; ++i, ++row) {
        const int32_t from = i < s->rows ? i : 0;
        row->from = (ptrdiff_t)(i - i % together) * length;
        row->to = (ptrdiff_t)(i < s->rows ? i : s->rows - 1) * s->columns;
        row->offset = (128 - s->b_zero_point) * qir_matmul_u8_row(s, a + (ptrdiff_t)from * s->a_row_stride, shift,
                                                                  8 * together, codes + row->from + 8 * (i % together));
    }
}

/* Two fours of depths of four channels, [channel][4] each, to where they belong among eight depths of a panel. */
static QIR_INLINE void qir_matmul_u8_put(int32_t layout, uint8x16_t first, uint8x16_t second, int32_t channel,
                                         uint8_t *to) {
    if (layout == QIR_MATMUL_U8_EIGHTS) {
        const uint32x4x2_t both = vzipq_u32(vreinterpretq_u32_u8(first), vreinterpretq_u32_u8(second));
        vst1q_u8(to + 8 * channel, vreinterpretq_u8_u32(both.val[0]));
        vst1q_u8(to + 8 * channel + 16, vreinterpretq_u8_u32(both.val[1]));
        return;
    }
    if (layout == QIR_MATMUL_U8_TWOS) {
        const uint16x8x2_t both = vuzpq_u16(vreinterpretq_u16_u8(first), vreinterpretq_u16_u8(second));
        const uint16x8_t twos = both.val[0], rest = both.val[1];
        first = vreinterpretq_u8_u16(vcombine_u16(vget_low_u16(twos), vget_low_u16(rest)));
        second = vreinterpretq_u8_u16(vcombine_u16(vget_high_u16(twos), vget_high_u16(rest)));
    }
    vst1q_u8(to + 4 * channel, first);
    vst1q_u8(to + 64 + 4 * channel, second);
}

/* Four depths of sixteen columns as [channel][4], the first of four vectors of which is that of channels 0 .. 3. */
static QIR_INLINE void qir_matmul_u8_transposed(const uint8x16_t depth[4], uint8x16_t *to) {
    const uint8x16x2_t twos = vzipq_u8(depth[0], depth[1]), rest = vzipq_u8(depth[2], depth[3]);
    int32_t i;
    for (i = 0; i < 2; ++i) {
        const uint16x8x2_t fours = vzipq_u16(vreinterpretq_u16_u8(twos.val[i]), vreinterpretq_u16_u8(rest.val[i]));
        to[2 * i] = vreinterpretq_u8_u16(fours.val[0]);
        to[2 * i + 1] = vreinterpretq_u8_u16(fours.val[1]);
    }
}

/* Eight depths of b, of which there are `count`, where neighbouring columns lie beside each other. */
static inline void qir_matmul_u8_by_rows(const qir_matmul_u8_shape *s, const uint8_t *b, int32_t count,
                                         int32_t columns, int32_t layout, uint8_t *to) {
    const uint8x16_t least = vdupq_n_u8(128);
    uint8x16_t depth[8], four[8];
    int32_t i;
    if (count == 8 && columns == 16) {
        for (i = 0; i < 8; ++i) {
            depth[i] = veorq_u8(vld1q_u8(b + i * s->b_depth_stride), least);
        }
    } else {
        for (i = 0; i < 8; ++i) {
            uint8_t room[16];
            vst1q_u8(room, least);
            if (i < count) {
                memcpy(room, b + i * s->b_depth_stride, (size_t)columns);
            }
            depth[i] = veorq_u8(vld1q_u8(room), least);
        }
    }
    qir_matmul_u8_transposed(depth, four);
    qir_matmul_u8_transposed(depth + 4, four + 4);
    for (i = 0; i < 4; ++i) {
        qir_matmul_u8_put(layout, four[i], four[4 + i], 4 * i, to);
    }
}

/* The same where they lie anywhere. */
static inline void qir_matmul_u8_by_columns(const qir_matmul_u8_shape *s, const uint8_t *b, int32_t count,
                                            int32_t columns, int32_t layout, uint8_t *to) {
    const ptrdiff_t down = s->b_depth_stride, right = s->b_column_stride;
    const uint8x16_t least = vdupq_n_u8(128);
    int32_t channel, i, k;
    for (channel = 0; channel < 16; channel += 4) {
        uint8x8_t eight[4];
        uint32x4x2_t fours;
        for (i = 0; i < 4; ++i) {
            const uint8_t *const column = b + (channel + i) * right;
            if (channel + i >= columns) {
                eight[i] = vget_low_u8(least);
            } else if (down == 1 && count == 8) {
                eight[i] = vld1_u8(column);
            } else {
                uint8_t room[8];
                vst1_u8(room, vget_low_u8(least));
                for (k = 0; k < count; ++k) {
                    room[k] = column[k * down];
                }
                eight[i] = vld1_u8(room);
            }
        }
        fours = vuzpq_u32(vreinterpretq_u32_u8(veorq_u8(vcombine_u8(eight[0], eight[1]), least)),
                          vreinterpretq_u32_u8(veorq_u8(vcombine_u8(eight[2], eight[3]), least)));
        qir_matmul_u8_put(layout, vreinterpretq_u8_u32(fours.val[0]), vreinterpretq_u8_u32(fours.val[1]), channel, to);
    }
}

/* Columns of b as a panel of `eights` of depths, zeros where there is no column or code. */
static inline void qir_matmul_u8_pack(const qir_matmul_u8_shape *s, const uint8_t *b, int32_t columns, int32_t eights,
                                      int32_t layout, uint8_t *to) {
    int32_t eight;
    for (eight = 0; eight < eights; ++eight, b += 8 * s->b_depth_stride, to += 128) {
        const int32_t count = s->depth - 8 * eight < 8 ? s->depth - 8 * eight : 8;
        if (s->b_column_stride == 1) {
            qir_matmul_u8_by_rows(s, b, count, columns, layout, to);
        } else {
            qir_matmul_u8_by_columns(s, b, count, columns, layout, to);
        }
    }
}

/* The last two terms for the columns of a panel: -za' (sum of b' - depth zb'). Lanes add two bytes first, then two of
   these sums, so that four lanes are those of four channels, or, of eights, of two channels twice. */
static inline void qir_matmul_u8_bias(const qir_matmul_u8_shape *s, const uint8_t *panel, int32_t eights,
                                      int32_t layout, int32_t shift, int32_t *bias) {
    const uint32_t za = (uint32_t)(s->a_zero_point - shift);
    const uint32_t all = (uint32_t)s->depth * (uint32_t)(s->b_zero_point - 128);
    const int8_t *from = (const int8_t *)panel;
    int32x4_t sums[8];
    int32_t eight, i;
    for (i = 0; i < 8; ++i) {
        sums[i] = vdupq_n_s32(0);
    }
    for (eight = 0; eight < eights; ++eight, from += 128) {
        for (i = 0; i < 8; ++i) {
            const int16x8_t twos = vpaddlq_s8(vld1q_s8(from + 16 * i));
            sums[i] = layout == QIR_MATMUL_U8_TWOS
                          ? vaddq_s32(sums[i], vaddl_s16(vget_low_s16(twos), vget_high_s16(twos)))
                          : vpadalq_s16(sums[i], twos);
        }
    }
    for (i = 0; i < 4; ++i) {
        int32x4_t four;
        if (layout == QIR_MATMUL_U8_EIGHTS) {
            four = vcombine_s32(vpadd_s32(vget_low_s32(sums[2 * i]), vget_high_s32(sums[2 * i])),
                                vpadd_s32(vget_low_s32(sums[2 * i + 1]), vget_high_s32(sums[2 * i + 1])));
        } else {
            four = vaddq_s32(sums[i], sums[4 + i]);
        }
        vst1q_u32((uint32_t *)bias + 4 * i,
                  vmulq_n_u32(vsubq_u32(vdupq_n_u32(all), vreinterpretq_u32_s32(four)), za));
    }
}

/* scratch: the list of rows, as many as go together; their codes, whole steps of them; a panel of eights of depths. */
static inline void qir_matmul_u8_by_panels(const qir_matmul_u8_shape *s, const qir_panel_tiles *k, int32_t layout,
                                           float multiplier, const uint8_t *a, const uint8_t *b, void *scratch,
                                           void *y) {
    const int32_t depth = (int32_t)k->step / 16, steps = (s->depth + depth - 1) / depth, length = steps * depth;
    const int32_t groups = qir_broadcast_rows(&s->batch), shift = k->together == 1 ? 128 : 0;
    const int32_t rows = (s->rows + k->together - 1) / k->together * k->together, eights = (s->depth + 7) / 8;
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
                qir_matmul_u8_pack(s, first, columns, eights, layout, panel);
                qir_matmul_u8_bias(s, panel, eights, layout, shift, bias);
                qir_by_panel(&p, k, row, rows, to + column * k->size);
            }
            to += (ptrdiff_t)s->rows * s->columns * k->size;
        }
    }
}

#endif
