#include "../../runtime/qir_moves_avx2.h"
#include "transpose.h"

/* template: begin */
#define QIR_X uint8_t
#define QIR_Y uint8_t
#define QIR_LOAD16 qir_avx2_load16_u8
#define QIR_MOVE16 qir_avx2_move16_u8
/* template: end */

/* Sixteen rows of sixteen bytes turned. Interleaving row i with row i + 8 takes the bits of a byte's place (row, column)
   once around: r3 r2 r1 r0 c3 c2 c1 c0 becomes r2 r1 r0 c3 c2 c1 c0 r3; after four rounds rows and columns have changed
   places. */
QIR_AVX2 static QIR_INLINE void qir_transpose_T_avx2_turn(__m128i rows[16]) {
    __m128i other[16];
    int32_t round, i;
    for (round = 0; round < 2; ++round) {
        for (i = 0; i < 8; ++i) {
            other[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + 8]);
            other[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + 8]);
        }
        for (i = 0; i < 8; ++i) {
            rows[2 * i] = _mm_unpacklo_epi8(other[i], other[i + 8]);
            rows[2 * i + 1] = _mm_unpackhi_epi8(other[i], other[i + 8]);
        }
    }
}

/* A tile of `height` rows of x by `width` of its columns, at most sixteen each, as the columns and rows of y. What a
   tile lacks goes through room of its own. */
QIR_AVX2 static QIR_INLINE void qir_transpose_T_avx2_tile(const QIR_X *x, ptrdiff_t x_step, int32_t height,
                                                          int32_t width, const qir_moves8 *m, QIR_Y *y,
                                                          ptrdiff_t y_step) {
    __m128i rows[16];
    int32_t i;
    for (i = 0; i < 16; ++i) {
        if (i >= height) {
            rows[i] = _mm_setzero_si128();
        } else if (width == 16) {
            rows[i] = QIR_LOAD16(x + i * x_step, m);
        } else {
            QIR_X room[16] = {0};
            memcpy(room, x + i * x_step, (size_t)width * sizeof(QIR_X));
            rows[i] = QIR_LOAD16(room, m);
        }
    }
    qir_transpose_T_avx2_turn(rows);
    for (i = 0; i < width; ++i) {
        if (height == 16) {
            QIR_MOVE16(rows[i], m, y + i * y_step);
        } else {
            QIR_Y room[16];
            QIR_MOVE16(rows[i], m, room);
            memcpy(y + i * y_step, room, (size_t)height * sizeof(QIR_Y));
        }
    }
}

/* The last tile along an axis of at least sixteen laps over the one before. */
QIR_AVX2
void qir_transpose_T__avx2(const qir_transpose_shape *s, const QIR_X *QIR_RESTRICT x, QIR_Y *QIR_RESTRICT y) {
    const int32_t width = s->loops.size[6], height = s->loops.size[7], step = s->loops.stride[7];
    const int32_t tables = qir_strided_rows(&s->loops, 2);
    const int32_t across = width < 16 ? width : 16, down = height < 16 ? height : 16;
    const qir_moves8 m = qir_widen_moves8(s->scale, &s->requant);
    qir_strided_row at = qir_strided_first(&s->loops);
    int32_t table, a, b;
    for (table = 0; table < tables; ++table, y += (ptrdiff_t)width * height) {
        for (a = 0; a < width; a += 16) {
            const int32_t column = a + across <= width ? a : width - across;
            for (b = 0; b < height; b += 16) {
                const int32_t row = b + down <= height ? b : height - down;
                const QIR_X *const from = x + at.start + (ptrdiff_t)row * step + column;
                QIR_Y *const to = y + (ptrdiff_t)column * height + row;
                if (across == 16 && down == 16) {
                    qir_transpose_T_avx2_tile(from, step, 16, 16, &m, to, height);
                } else {
                    qir_transpose_T_avx2_tile(from, step, down, across, &m, to, height);
                }
            }
        }
        qir_strided_next(&s->loops, 2, &at);
    }
}
