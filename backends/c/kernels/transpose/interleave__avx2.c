#include "../../runtime/qir_moves_avx2.h"
#include "transpose.h"

/* template: begin */
#define QIR_X uint8_t
#define QIR_Y uint8_t
#define QIR_LOAD16 qir_avx2_load16_u8
#define QIR_MOVE16 qir_avx2_move16_u8
/* template: end */

/* Sixteen pixels of `planes` channels, between planes and pixels in either direction: both are as many vectors, and each
   vector of the result takes from every vector of the operand the bytes that order[result][operand] says, 128 where
   none. */
QIR_AVX2 static QIR_INLINE void qir_interleave_T_avx2_block(const uint8_t *order, int32_t planes, const QIR_X *x,
                                                            ptrdiff_t x_step, const qir_moves8 *m, QIR_Y *y,
                                                            ptrdiff_t y_step) {
    __m128i given[4];
    int32_t i, j;
    for (i = 0; i < 4; ++i) {
        given[i] = i < planes ? QIR_LOAD16(x + i * x_step, m) : _mm_setzero_si128();
    }
    for (j = 0; j < planes; ++j) {
        __m128i codes = _mm_setzero_si128();
        for (i = 0; i < planes; ++i, order += 16) {
            const __m128i places = _mm_loadu_si128((const __m128i *)(const void *)order);
            codes = _mm_or_si128(codes, _mm_shuffle_epi8(given[i], places));
        }
        QIR_MOVE16(codes, m, y + j * y_step);
    }
}

/* One table. The last sixteen pixels lap over those before; fewer than sixteen go through room of their own. */
QIR_AVX2 static QIR_INLINE void qir_interleave_T_avx2_table(const uint8_t *order, int32_t planes, int32_t pixels,
                                                            int32_t to_pixels, const QIR_X *x, ptrdiff_t x_step,
                                                            const qir_moves8 *m, QIR_Y *y) {
    const ptrdiff_t y_step = to_pixels ? 16 : pixels, x_apart = to_pixels ? 1 : planes, y_apart = to_pixels ? planes : 1;
    int32_t pixel, i;
    if (pixels >= 16) {
        for (pixel = 0; pixel < pixels; pixel += 16) {
            const int32_t first = pixel + 16 <= pixels ? pixel : pixels - 16;
            qir_interleave_T_avx2_block(order, planes, x + first * x_apart, x_step, m, y + first * y_apart, y_step);
        }
    } else {
        QIR_X given[64] = {0};
        QIR_Y found[64];
        for (i = 0; i < (to_pixels ? planes : 1); ++i) {
            memcpy(given + 16 * i, x + i * x_step, (size_t)(pixels * x_apart) * sizeof(QIR_X));
        }
        qir_interleave_T_avx2_block(order, planes, given, 16, m, found, 16);
        for (i = 0; i < (to_pixels ? 1 : planes); ++i) {
            memcpy(y + i * y_step, found + 16 * i, (size_t)(pixels * y_apart) * sizeof(QIR_Y));
        }
    }
}

/* Between two and four planes; order [planes][planes][16]. To pixels the planes of x are stride[7] apart; to planes its
   pixels are contiguous. */
QIR_AVX2
void qir_interleave_T__avx2(const qir_transpose_shape *s, const uint8_t *order, int32_t to_pixels,
                            const QIR_X *QIR_RESTRICT x, QIR_Y *QIR_RESTRICT y) {
    const int32_t planes = s->loops.size[to_pixels ? 7 : 6], pixels = s->loops.size[to_pixels ? 6 : 7];
    const int32_t tables = qir_strided_rows(&s->loops, 2);
    const ptrdiff_t step = to_pixels ? s->loops.stride[7] : 16;
    const qir_moves8 m = qir_widen_moves8(s->scale, &s->requant);
    qir_strided_row at = qir_strided_first(&s->loops);
    int32_t table;
    for (table = 0; table < tables; ++table, y += (ptrdiff_t)planes * pixels) {
        if (planes == 2) {
            qir_interleave_T_avx2_table(order, 2, pixels, to_pixels, x + at.start, step, &m, y);
        } else if (planes == 3) {
            qir_interleave_T_avx2_table(order, 3, pixels, to_pixels, x + at.start, step, &m, y);
        } else {
            qir_interleave_T_avx2_table(order, 4, pixels, to_pixels, x + at.start, step, &m, y);
        }
        qir_strided_next(&s->loops, 2, &at);
    }
}
