#include "transpose.h"

/* template: begin */
#include "turn_avx2.h"

#define QIR_T float
#define QIR_TARGET QIR_AVX2
#define QIR_ROWS 8
#define QIR_REALS __m256
#define QIR_LOAD_REALS _mm256_loadu_ps
#define QIR_STORE_REALS _mm256_storeu_ps
#define QIR_TURN qir_turn_avx2
/* template: end */

/* QIR_ROWS rows of x by as many columns, of words that vectors move as reals. */
QIR_TARGET static QIR_INLINE void qir_transpose_words_T_tile(const QIR_T *x, ptrdiff_t x_step, QIR_T *y,
                                                             ptrdiff_t y_step) {
    QIR_REALS rows[QIR_ROWS];
    int32_t i;
    for (i = 0; i < QIR_ROWS; ++i) {
        rows[i] = QIR_LOAD_REALS((const float *)(const void *)(x + i * x_step));
    }
    QIR_TURN(rows);
    for (i = 0; i < QIR_ROWS; ++i) {
        QIR_STORE_REALS((float *)(void *)(y + i * y_step), rows[i]);
    }
}

/* Words of 32 bits into another order of axes: transpose.h, with nothing on the way. Sixteen columns of y go together,
   which are a line of the cache; the last tile along an axis laps over the one before, where there is a whole one. */
QIR_TARGET
void qir_transpose_words_T__vectors(const qir_strided *s, const QIR_T *QIR_RESTRICT x, QIR_T *QIR_RESTRICT y) {
    const int32_t width = s->size[6], height = s->size[7], step = s->stride[7], tables = qir_strided_rows(s, 2);
    const int32_t line = 16, whole = width >= QIR_ROWS && height >= QIR_ROWS;
    qir_strided_row at = qir_strided_first(s);
    int32_t table, start, a, b;
    for (table = 0; table < tables; ++table, y += (ptrdiff_t)width * height) {
        const QIR_T *const from = x + at.start;
        for (start = 0; start < height; start += line) {
            const int32_t end = start + line < height ? start + line : height;
            if (whole) {
                for (a = 0; a < width; a += QIR_ROWS) {
                    const int32_t column = a + QIR_ROWS <= width ? a : width - QIR_ROWS;
                    for (b = start; b < end; b += QIR_ROWS) {
                        const int32_t row = b + QIR_ROWS <= height ? b : height - QIR_ROWS;
                        qir_transpose_words_T_tile(from + (ptrdiff_t)row * step + column, step,
                                                   y + (ptrdiff_t)column * height + row, height);
                    }
                }
            } else {
                for (a = 0; a < width; ++a) {
                    for (b = start; b < end; ++b) {
                        y[(ptrdiff_t)a * height + b] = from[(ptrdiff_t)b * step + a];
                    }
                }
            }
        }
        qir_strided_next(s, 2, &at);
    }
}
