/* Words of conv_u8_winograd__vectors.c (winograd.py), as AVX2 or, on ARM, NEON has them. */
#ifndef QIR_CONV_U8_WINOGRAD_WORDS_H
#define QIR_CONV_U8_WINOGRAD_WORDS_H

#define QIR_SIDE 4
#define QIR_BY 1
#define QIR_WINDOW 6

#if defined(__aarch64__) || defined(__arm__)
#include "conv_u8_winograd_neon.h"
#define QIR_Y uint8_t
#define QIR_TARGET
#define QIR_VECTOR int32x4_t
#define QIR_REALS float32x4_t
#define QIR_REQUANT qir_requant4
#define QIR_WIDEN_REQUANT qir_widen_requant4
#define QIR_LOAD vld1q_s32
#define QIR_LOAD_REALS vld1q_f32
#define QIR_SCALED qir_neon_scaled
#define QIR_PAIR qir_neon_reals16_u8
#define QIR_CODES 8
#define QIR_WIDTH 4
#define QIR_SUMS 0
#define QIR_SUM qir_neon_sum_with
#define QIR_SUM_NUMBERS qir_neon_sum_numbers
#define QIR_WIDEN_SUM qir_neon_widen_sum
#define QIR_SUMMED
#define QIR_OWN_FIRST b->sum->own_first
#define QIR_VECTORS QIR_EACH_4
#define QIR_TURNS
#define QIR_ADD qir_winograd_neon_add
#define QIR_SUBTRACT qir_winograd_neon_subtract
#define QIR_VECTOR_4 qir_winograd_neon_vector_4
#define QIR_NINTH qir_winograd_neon_ninth
#define QIR_SHORTS int16x8_t
#define QIR_SHORTS_4 qir_winograd_neon_shorts_4
#define QIR_AT_ONCE 8
#define QIR_CODES_AT qir_winograd_neon_codes
#define QIR_PLUS vaddq_s16
#define QIR_MINUS vsubq_s16
#define QIR_PUT vst1q_s16
#define QIR_PRODUCTS qir_winograd_neon_products
#define QIR_CROSSED 0
#define QIR_BOTH QIR_WINOGRAD_NEON_BOTH
#else
#include "../../runtime/qir_x86_words.h"
#include "conv_u8_winograd_avx2_crossed.h"
#define QIR_VECTORS QIR_EACH_2
#define QIR_TURNS QIR_ONE_BY_ONE
#define QIR_SUBTRACT _mm256_sub_epi32
#define QIR_VECTOR_4 qir_winograd_avx2_vector_4
#define QIR_NINTH qir_winograd_avx2_ninth
#define QIR_SHORTS __m256i
#define QIR_SHORTS_4 qir_winograd_avx2_shorts_4
#define QIR_AT_ONCE 16
#define QIR_CODES_AT qir_winograd_avx2_codes
#define QIR_PLUS _mm256_add_epi16
#define QIR_MINUS _mm256_sub_epi16
#define QIR_ALL _mm256_set1_epi16
#define QIR_PUT qir_winograd_crossed_put
#define QIR_PLACE qir_winograd_crossed_place
#define QIR_OFFSETS qir_winograd_crossed_offsets
#define QIR_CROSS qir_less_crossed
#define QIR_CROSSED 1
#define QIR_BOTH QIR_WINOGRAD_AVX2_BOTH
#endif

#endif
