/* Words of templates on the vectors of x86 (qir.backends.c.binding.x86), as AVX2 has them. */
#ifndef QIR_X86_WORDS_H
#define QIR_X86_WORDS_H

#include "qir_avx2.h"

#define QIR_Y uint8_t
#define QIR_BY_TILES qir_avx2_tiles_u8
#define QIR_WOVEN_SUMS qir_avx2_woven
#define QIR_WOVEN_CONV qir_avx2_woven_conv
#define QIR_START QIR_WITH_OFFSET
#define QIR_FOUR qir_avx2_four_u8
#define QIR_PAIR qir_avx2_pair_u8
#define QIR_ROW qir_avx2_row_u8
#define QIR_PART qir_avx2_first_u8
#define QIR_TARGET QIR_AVX2
#define QIR_MM QIR_MM256
#define QIR_VECTOR __m256i
#define QIR_REALS __m256
#define QIR_REQUANT qir_requant8
#define QIR_WIDEN_REQUANT qir_widen_requant8
#define QIR_LOAD qir_avx2_vector
#define QIR_LOAD_REALS _mm256_loadu_ps
#define QIR_SCALED qir_avx2_scaled
#define QIR_SPREAD _mm256_set1_epi32
#define QIR_ADD _mm256_add_epi32
#define QIR_TAKEN __m256i
#define QIR_TAKE qir_avx2_take_four
#define QIR_WEIGHTS qir_avx2_widened
#define QIR_DOT QIR_DOT2
#define QIR_RUNS1 QIR_ONE_RUN
#define QIR_RUNS1_END QIR_ONE_RUN_END
#define QIR_RUNS2 QIR_ONE_RUN
#define QIR_RUNS2_END QIR_ONE_RUN_END
#define QIR_NEXT_VECTOR 16
#define QIR_STEP_BYTES 32
#define QIR_CODES 2
#define QIR_AGAIN
#define QIR_SPARSE 0
#define QIR_TAKEN_STEPS
#define QIR_SUMS 0
#define QIR_SUMMED
#define QIR_OWN_FIRST 0
#define QIR_SUM qir_avx2_sum_with
#define QIR_SUM_NUMBERS qir_avx2_sum_numbers
#define QIR_WIDEN_SUM qir_avx2_widen_sum
#define QIR_W int8_t
#define QIR_BITS 8
#define QIR_UNPACK qir_avx2_unpack
#define QIR_FEW qir_avx2_few
#define QIR_PLANES 0
#define QIR_TABLE 0
#define QIR_RUN 1
#define QIR_SUM_OF_PLANES qir_avx2_sum_of_planes
#define QIR_WIDTH 8
#define QIR_ROWS 6
#define QIR_WOVEN_ROWS 4
#define QIR_TILES_TAKEN(each)                                                   \
    each(1, 1) each(2, 1) each(3, 1) each(4, 1) each(5, 1) each(6, 1) each(1, 2) \
        each(2, 2) each(3, 2) each(4, 2) each(5, 2) each(6, 2)
#define QIR_WOVEN_TAKEN(each) each(3, 1) each(4, 1) each(3, 2) each(4, 2)

#endif
