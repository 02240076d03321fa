/* The words in which kernels on vectors of floats are written, and what they mean where such a file is compiled alone.
   In emitted code they become the functions of qir_f32_avx2.h, qir_f32_avx512.h or qir_f32_asimd.h (backends/c/binding/vectors.py
   reads the list below), so a kernel is written once.

   QIR_VF: QIR_WIDTH floats. QIR_PART(v, count, rest): lanes below count of v, the others of rest. QIR_FMA(a, b, c): a * b + c
   and QIR_FNMA(a, b, c): c - a * b, rounded once; products that are added are always these, so no compiler has anything to
   fuse. QIR_MAX, QIR_MIN: NaN where the second operand is; where the first alone is, the second or NaN.
   QIR_SIGNED(a, b): |a| with b's sign. QIR_SCALE(v, n): v * 2^n. QIR_SUM, QIR_MOST: over the lanes.

   QIR_BY_LANE: whether there are QIR_FOUR, four neighbours, and QIR_FMA_LANE(four, lane, b, c): four[lane] * b + c, rounded
   once, where one load gives four factors. */
#ifndef QIR_F32_WORDS_H
#define QIR_F32_WORDS_H

#if defined(__aarch64__)
#include "qir_f32_asimd.h"
#define QIR_WORD(word) qir_asimd_##word
#define QIR_NUMBER(name) QIR_ASIMD_##name
#else
#include "qir_f32_avx2.h"
#define QIR_WORD(word) qir_avx2_##word
#define QIR_NUMBER(name) QIR_AVX2_##name
#endif

#define QIR_ISA QIR_NUMBER(ISA)
#define QIR_WIDTH QIR_NUMBER(WIDTH)
#define QIR_TALLEST QIR_NUMBER(TALLEST)
#define QIR_BY_LANE QIR_NUMBER(BY_LANE)
#define QIR_VF QIR_WORD(f32)
#define QIR_VM QIR_WORD(mask)
#define QIR_LOAD QIR_WORD(load)
#define QIR_STORE QIR_WORD(store)
#define QIR_LOAD_PART QIR_WORD(load_part)
#define QIR_STORE_PART QIR_WORD(store_part)
#define QIR_PART QIR_WORD(part)
#define QIR_ALL QIR_WORD(all)
#define QIR_ADD QIR_WORD(add)
#define QIR_SUB QIR_WORD(sub)
#define QIR_MUL QIR_WORD(mul)
#define QIR_DIV QIR_WORD(div)
#define QIR_FMA QIR_WORD(fma)
#define QIR_FOUR QIR_WORD(four)
#define QIR_LOAD_FOUR QIR_WORD(load_four)
#define QIR_FMA_LANE QIR_WORD(fma_lane)
#define QIR_FNMA QIR_WORD(fnma)
#define QIR_MAX QIR_WORD(max)
#define QIR_MIN QIR_WORD(min)
#define QIR_SQRT QIR_WORD(sqrt)
#define QIR_RINT QIR_WORD(rint)
#define QIR_FLOOR QIR_WORD(floor)
#define QIR_CEIL QIR_WORD(ceil)
#define QIR_ABS QIR_WORD(abs)
#define QIR_NEG QIR_WORD(neg)
#define QIR_SIGNED QIR_WORD(signed)
#define QIR_LESS QIR_WORD(less)
#define QIR_SAME QIR_WORD(same)
#define QIR_EITHER QIR_WORD(either)
#define QIR_PICK QIR_WORD(pick)
#define QIR_SCALE QIR_WORD(scale)
#define QIR_EXPONENT QIR_WORD(exponent)
#define QIR_FRACTION QIR_WORD(fraction)
#define QIR_SUM QIR_WORD(sum)
#define QIR_MOST QIR_WORD(most)
#define QIR_EXP QIR_WORD(exp)
#define QIR_TANH QIR_WORD(tanh)
#define QIR_SIGMOID QIR_WORD(sigmoid)
#define QIR_ERF QIR_WORD(erf)
#define QIR_TILE QIR_WORD(tile)
#define QIR_TILE_LINE QIR_WORD(tile_line)
#define QIR_TILE_STRIP QIR_WORD(tile_strip)
#define QIR_TILE_PRODUCT QIR_WORD(tile_product)

#endif
