/* What kernels on vectors share, whatever their instruction set. */
#ifndef QIR_VECTOR_H
#define QIR_VECTOR_H

#include "qir_runtime.h"

#if defined(__GNUC__)
#define QIR_INLINE inline __attribute__((always_inline))
#else
#define QIR_INLINE inline
#endif

/* For helpers that all of them share: the least of the instruction sets that this processor's kernels are for. */
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define QIR_LEAST __attribute__((target("avx2")))
#else
#define QIR_LEAST
#endif

/* A function in assembly, for loops of which compilers leave too little in registers. To gcc it is a stranger's, or it
   would take registers that it does not see written for unchanged. */
#if defined(__clang__)
#define QIR_ASSEMBLY __attribute__((naked, noinline, unused)) static
#define QIR_UNUSED __attribute__((unused))
#elif defined(__GNUC__)
#define QIR_ASSEMBLY __attribute__((naked, noipa, unused)) static
#define QIR_UNUSED __attribute__((unused))
#else
#define QIR_UNUSED
#endif

/* each(0) each(1) ... each(n - 1): sums that stay in registers are variables, which no compiler keeps in memory. */
#define QIR_EACH_1(each) each(0)
#define QIR_EACH_2(each) QIR_EACH_1(each) each(1)
#define QIR_EACH_3(each) QIR_EACH_2(each) each(2)
#define QIR_EACH_4(each) QIR_EACH_3(each) each(3)
#define QIR_EACH_5(each) QIR_EACH_4(each) each(4)
#define QIR_EACH_6(each) QIR_EACH_5(each) each(5)
#define QIR_EACH_7(each) QIR_EACH_6(each) each(6)
#define QIR_EACH_8(each) QIR_EACH_7(each) each(7)

/* Of `count` rows how many go together: at most `most`, in pieces of nearly equal size. */
static inline int32_t qir_piece(int32_t count, int32_t most) {
    const int32_t pieces = (count + most - 1) / most;
    return (count + pieces - 1) / pieces;
}

/* Four neighbouring bytes, at any address. */
static QIR_INLINE int32_t qir_four_bytes(const void *from) {
    int32_t bytes;
    (void)memcpy(&bytes, from, sizeof bytes);
    return bytes;
}

/* Rows of sixteen results, of which the first `count` belong into rows of y, `step` elements apart. */
QIR_LEAST QIR_ALONE static void qir_part16_u8(const uint8_t *part, int32_t rows, int32_t count, uint8_t *y,
                                              ptrdiff_t step) {
    for (; rows > 0; --rows, part += 16, y += step) {
        int32_t i = count & 16;
        if (i) {
            (void)memcpy(y, part, 16);
        }
        if (count & 8) {
            (void)memcpy(y + i, part + i, 8);
            i += 8;
        }
        if (count & 4) {
            (void)memcpy(y + i, part + i, 4);
            i += 4;
        }
        if (count & 2) {
            (void)memcpy(y + i, part + i, 2);
            i += 2;
        }
        if (count & 1) {
            y[i] = part[i];
        }
    }
}

QIR_LEAST QIR_ALONE static void qir_part16_f32(const float *part, int32_t rows, int32_t count, float *y,
                                               ptrdiff_t step) {
    for (; rows > 0; --rows, part += 16, y += step) {
        (void)memcpy(y, part, (size_t)count * sizeof(float));
    }
}

#endif
