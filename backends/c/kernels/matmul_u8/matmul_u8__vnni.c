#include "../../runtime/qir_tiles_x86.h"
#include "matmul_u8.h"

/* template: begin */
#include "../../runtime/qir_x86_words.h"
/* template: end */

/* vpdpbusd wants one factor signed: B = b - 128, whose bits are those of b with the uppermost one turned. With za, zb the
   zero points and sums over k

       sum (a - za) (b - zb) = sum a B + (128 - zb) sum a - za sum (b - zb)

   The second term is an offset of its row, the third a bias of its column. All three may leave int32 on the way, the
   result does not: sums may wrap around. */

/* Four neighbours along the depth of sixteen columns, side by side, less 128; else zeros. */
QIR_AVX2 static void qir_matmul_u8u8_T_step(const qir_matmul_u8_shape *s, const uint8_t *b, int32_t depth,
                                            int32_t columns, int8_t *to) {
    const ptrdiff_t down = s->b_depth_stride, right = s->b_column_stride;
    const __m256i flip = _mm256_set1_epi8(-128);
    int32_t j, i;
    if (columns >= 16 && depth >= 4 && right == 1) {
        const __m128i r0 = _mm_loadu_si128((const __m128i *)(const void *)b);
        const __m128i r1 = _mm_loadu_si128((const __m128i *)(const void *)(b + down));
        const __m128i r2 = _mm_loadu_si128((const __m128i *)(const void *)(b + 2 * down));
        const __m128i r3 = _mm_loadu_si128((const __m128i *)(const void *)(b + 3 * down));
        const __m128i low01 = _mm_unpacklo_epi8(r0, r1), high01 = _mm_unpackhi_epi8(r0, r1);
        const __m128i low23 = _mm_unpacklo_epi8(r2, r3), high23 = _mm_unpackhi_epi8(r2, r3);
        const __m256i first = _mm256_set_m128i(_mm_unpackhi_epi16(low01, low23), _mm_unpacklo_epi16(low01, low23));
        const __m256i second = _mm256_set_m128i(_mm_unpackhi_epi16(high01, high23), _mm_unpacklo_epi16(high01, high23));
        _mm256_storeu_si256((__m256i *)(void *)to, _mm256_xor_si256(first, flip));
        _mm256_storeu_si256((__m256i *)(void *)(to + 32), _mm256_xor_si256(second, flip));
    } else if (columns >= 16 && depth >= 4 && down == 1) {
        for (j = 0; j < 16; ++j) {
            const int32_t four = qir_four_bytes(b + j * right) ^ INT32_C(-0x7f7f7f80);
            (void)memcpy(to + 4 * j, &four, sizeof four);
        }
    } else {
        for (j = 0; j < 16; ++j) {
            for (i = 0; i < 4; ++i) {
                to[4 * j + i] = (int8_t)(j < columns && i < depth ? b[i * down + j * right] - 128 : 0);
            }
        }
    }
}

/* A panel of sixteen columns, [step][column][4], and the bias of each. */
QIR_TARGET static void qir_matmul_u8u8_T_panel(const qir_matmul_u8_shape *s, const uint8_t *b, int32_t columns,
                                                     int8_t *to, int32_t *bias) {
    const QIR_VECTOR ones = QIR_SPREAD(INT32_C(0x01010101));
    const int32_t restored = s->depth * (128 - s->b_zero_point);
    QIR_VECTOR sums[16 / QIR_WIDTH];
    int32_t k, i;
    for (i = 0; i < 16 / QIR_WIDTH; ++i) {
        sums[i] = QIR_SPREAD(restored);
    }
    for (k = 0; k < s->depth; k += 4, to += 64, b += 4 * (ptrdiff_t)s->b_depth_stride) {
        qir_matmul_u8u8_T_step(s, b, s->depth - k, columns, to);
        for (i = 0; i < 16 / QIR_WIDTH; ++i) {
            const QIR_VECTOR four = QIR_LOAD(to + 4 * QIR_WIDTH * i);
            QIR_DOT(sums[i], ones, four);
        }
    }
    (void)memcpy(bias, sums, sizeof sums);
    for (i = 0; i < 16; ++i) {
        bias[i] *= -s->a_zero_point;
    }
}

/* Rows of a, in steps of four codes: as they are, or copied and filled up; and the offset of each. */
QIR_TARGET static const uint8_t *qir_matmul_u8u8_T_rows(const qir_matmul_u8_shape *s, const uint8_t *a,
                                                              uint8_t *room, qir_row *pixel) {
    const ptrdiff_t steps = (s->depth + 3) / 4, right = s->a_depth_stride;
    const int32_t direct = right == 1 && s->depth % 4 == 0;
    int32_t row, k;
    for (row = 0; row < s->rows; ++row) {
        const uint8_t *const from = a + (ptrdiff_t)row * s->a_row_stride;
        int32_t sum = 0;
        if (!direct) {
            uint8_t *const to = room + row * steps * 4;
            (void)memset(to + (steps - 1) * 4, 0, 4);
            if (right == 1) {
                (void)memcpy(to, from, (size_t)s->depth);
            } else {
                for (k = 0; k < s->depth; ++k) {
                    to[k] = from[k * right];
                }
            }
        }
        if (s->b_zero_point != 128) {
            const uint8_t *const codes = direct ? from : room + row * steps * 4;
            for (k = 0; k < s->depth; ++k) {
                sum += codes[k];
            }
        }
        pixel[row].from = direct ? (ptrdiff_t)row * s->a_row_stride : row * steps * 4;
        pixel[row].to = (ptrdiff_t)row * s->columns;
        pixel[row].offset = sum * (128 - s->b_zero_point);
    }
    return direct ? a : room;
}

/* scratch: pixels [rows], panels of b with their biases, places of the steps, rows of a. */
QIR_TARGET
void qir_matmul_u8u8_T__vnni(const qir_matmul_u8_shape *s, float multiplier, const uint8_t *QIR_RESTRICT a,
                             const uint8_t *QIR_RESTRICT b, void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    const int32_t groups = qir_broadcast_rows(&s->batch), panels = (s->columns + 15) / 16, steps = (s->depth + 3) / 4;
    qir_row *const pixels = (qir_row *)scratch;
    int8_t *const packed = (int8_t *)(pixels + s->rows);
    int32_t *const bias = (int32_t *)(void *)(packed + (ptrdiff_t)panels * steps * 64), *const places = bias + panels * 16;
    uint8_t *const room = (uint8_t *)(places + steps);
    const uint8_t *last_a = 0, *last_b = 0;
    float multipliers[32];
    int32_t group, inner, panel, i;
    qir_tiles t;
    t.x = 0;
    t.pixels = pixels;
    t.places = places;
    t.steps = steps;
    t.panel = (ptrdiff_t)steps * 64;
    t.multiplier = multipliers;
    t.requant = &s->requant;
    for (i = 0; i < 32; ++i) {
        multipliers[i] = multiplier;
    }
    for (i = 0; i < steps; ++i) {
        places[i] = 4 * i;
    }
    for (group = 0; group < groups; ++group) {
        ptrdiff_t a_start, b_start;
        qir_broadcast_row(&s->batch, group, &a_start, &b_start);
        for (inner = 0; inner < s->batch.size[5]; ++inner, y += (ptrdiff_t)s->rows * s->columns) {
            const uint8_t *const from_a = a + a_start + (ptrdiff_t)inner * s->batch.a_stride[5];
            const uint8_t *const from_b = b + b_start + (ptrdiff_t)inner * s->batch.b_stride[5];
            if (from_a != last_a) {
                t.x = qir_matmul_u8u8_T_rows(s, from_a, room, pixels);
                last_a = from_a;
            }
            for (panel = 0; panel < panels && from_b != last_b; ++panel) {
                qir_matmul_u8u8_T_panel(s, from_b + (ptrdiff_t)panel * 16 * s->b_column_stride,
                                              s->columns - panel * 16, packed + panel * t.panel, bias + panel * 16);
            }
            last_b = from_b;
            for (panel = 0; panel < panels; panel += QIR_WIDTH / 8) {
                t.weights = packed + panel * t.panel;
                t.bias = bias + panel * 16;
                t.channels = s->columns - panel * 16;
                QIR_BY_TILES(&t, s->rows, y + panel * 16);
            }
        }
    }
}
