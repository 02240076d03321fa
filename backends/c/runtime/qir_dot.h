/* Products of rows: int16 activations (code minus zero point) with rows of int8 weights, exact in int32.

   Written so that compilers turn the loops into multiply-add instructions on vectors of int16 (pmaddwd, smlal): no
   accumulator is an array, and nothing is stored inside the loop. Rows of weights follow each other. */
#ifndef QIR_DOT_H
#define QIR_DOT_H

#include "qir_runtime.h"

/* clang's own choice is four lanes, for which it multiplies in int32, and half a vector where one byte becomes two. Where
   it cannot follow it would warn. */
#if defined(__clang__) && defined(__OPTIMIZE__) && !defined(__OPTIMIZE_SIZE__) && (defined(__SSE2__) || defined(__ARM_NEON))
#pragma clang diagnostic ignored "-Wpass-failed"
#define QIR_DOT_LOOP _Pragma("clang loop vectorize_width(8) interleave_count(1)")
#define QIR_BYTE_LOOP _Pragma("clang loop vectorize_width(16) interleave_count(1)")
#else
#define QIR_DOT_LOOP
#define QIR_BYTE_LOOP QIR_LANES
#endif

/* Two rows of activations with four of weights: acc_i[j] = x_i . w_j. */
static inline void qir_dot_2x4(const int16_t *QIR_RESTRICT x0, const int16_t *QIR_RESTRICT x1,
                               const int8_t *QIR_RESTRICT w, int32_t depth, int32_t *QIR_RESTRICT acc0,
                               int32_t *QIR_RESTRICT acc1) {
    const int8_t *const w1 = w + depth, *const w2 = w1 + depth, *const w3 = w2 + depth;
    int32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, k;
    QIR_DOT_LOOP
    for (k = 0; k < depth; ++k) {
        const int32_t u = x0[k], v = x1[k];
        a += u * w[k];
        b += u * w1[k];
        c += u * w2[k];
        d += u * w3[k];
        e += v * w[k];
        f += v * w1[k];
        g += v * w2[k];
        h += v * w3[k];
    }
    acc0[0] = a;
    acc0[1] = b;
    acc0[2] = c;
    acc0[3] = d;
    acc1[0] = e;
    acc1[1] = f;
    acc1[2] = g;
    acc1[3] = h;
}

/* One row of activations with four of weights. */
static inline void qir_dot_1x4(const int16_t *QIR_RESTRICT x, const int8_t *QIR_RESTRICT w, int32_t depth,
                               int32_t *QIR_RESTRICT acc) {
    const int8_t *const w1 = w + depth, *const w2 = w1 + depth, *const w3 = w2 + depth;
    int32_t a = 0, b = 0, c = 0, d = 0, k;
    QIR_DOT_LOOP
    for (k = 0; k < depth; ++k) {
        const int32_t u = x[k];
        a += u * w[k];
        b += u * w1[k];
        c += u * w2[k];
        d += u * w3[k];
    }
    acc[0] = a;
    acc[1] = b;
    acc[2] = c;
    acc[3] = d;
}

static inline int32_t qir_dot_1x1(const int16_t *QIR_RESTRICT x, const int8_t *QIR_RESTRICT w, int32_t depth) {
    int32_t a = 0, k;
    QIR_DOT_LOOP
    for (k = 0; k < depth; ++k) {
        a += (int32_t)x[k] * w[k];
    }
    return a;
}

#if defined(__thumb__) && !defined(__thumb2__)
/* Armv6-M has eight registers for arithmetic: enough for one row of activations with two of weights, `next` apart. */
QIR_ALONE static void qir_dot_1x2(const int16_t *QIR_RESTRICT x, const int8_t *QIR_RESTRICT w, int32_t depth,
                                  int32_t next, int32_t *QIR_RESTRICT acc) {
    const int16_t *const end = x + depth;
    int32_t a = 0, b = 0;
    while (x != end) {
        const int32_t u = *x++;
        a += u * *w;
        b += u * w[next];
        ++w;
    }
    acc[0] = a;
    acc[1] = b;
}

static inline void qir_dot_rows(const int16_t *QIR_RESTRICT x, int32_t rows, const int8_t *QIR_RESTRICT w,
                                int32_t depth, int32_t count, int32_t *QIR_RESTRICT acc) {
    int32_t i, j;
    for (i = 0; i < rows; ++i) {
        for (j = 0; j < count; j += 2) {
            const int32_t next = j + 1 < count ? depth : 0;
            qir_dot_1x2(x + (ptrdiff_t)i * depth, w + (ptrdiff_t)j * depth, depth, next, acc + i * 16 + j);
        }
    }
}
#else
/* One or two rows of activations with `count` (at most 16) rows of weights: acc[i * 16 + j] = x_i . w_j. */
static inline void qir_dot_rows(const int16_t *QIR_RESTRICT x, int32_t rows, const int8_t *QIR_RESTRICT w,
                                int32_t depth, int32_t count, int32_t *QIR_RESTRICT acc) {
    int32_t j, left;
    for (j = 0; j + 4 <= count; j += 4, w += (ptrdiff_t)depth * 4) {
        if (rows == 2) {
            qir_dot_2x4(x, x + depth, w, depth, acc + j, acc + 16 + j);
        } else {
            qir_dot_1x4(x, w, depth, acc + j);
        }
    }
    for (left = 0; left < 3; ++left) { /* a fixed count: gcc for 32 bits suspects overflow of an open one */
        if (j + left < count) {
            acc[j + left] = qir_dot_1x1(x, w + (ptrdiff_t)left * depth, depth);
            acc[16 + j + left] = rows == 2 ? qir_dot_1x1(x + depth, w + (ptrdiff_t)left * depth, depth) : 0;
        }
    }
}

#endif

/* Elements of a row of weights. */
static inline ptrdiff_t qir_line_s8(int32_t depth) {
    return depth;
}

/* Codes without their zero point. */
static inline void qir_widen(const uint8_t *QIR_RESTRICT x, int32_t zero_point, int32_t count,
                             int16_t *QIR_RESTRICT y) {
    int32_t k;
    for (k = 0; k < count; ++k) {
        y[k] = (int16_t)(x[k] - zero_point);
    }
}

#endif
