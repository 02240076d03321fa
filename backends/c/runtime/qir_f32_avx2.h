/* Eight floats at a time: what the words of qir_f32_words.h mean on AVX2 with FMA. */
#ifndef QIR_F32_AVX2_H
#define QIR_F32_AVX2_H

#include "qir_x86.h"

#if defined(__GNUC__)
#define QIR_AVX2_ISA __attribute__((target("avx2,fma")))
#else
#define QIR_AVX2_ISA
#endif
#define QIR_AVX2_WORD QIR_AVX2_ISA static QIR_INLINE

typedef __m256 qir_avx2_f32;
typedef __m256 qir_avx2_mask;
#define QIR_AVX2_WIDTH 8
#define QIR_AVX2_BY_LANE 0
/* Rows of a tile of two vectors: their sums, two weights and a value fit the registers. */
#define QIR_AVX2_TALLEST 6

QIR_AVX2_WORD __m256 qir_avx2_load(const float *from) {
    return _mm256_loadu_ps(from);
}

QIR_AVX2_WORD void qir_avx2_store(float *to, __m256 v) {
    _mm256_storeu_ps(to, v);
}

/* Lanes below count, of which there are at most eight. */
QIR_AVX2_WORD __m256i qir_avx2_first(int32_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

QIR_AVX2_WORD __m256 qir_avx2_load_part(const float *from, int32_t count) {
    return _mm256_maskload_ps(from, qir_avx2_first(count));
}

QIR_AVX2_WORD void qir_avx2_store_part(float *to, int32_t count, __m256 v) {
    _mm256_maskstore_ps(to, qir_avx2_first(count), v);
}

QIR_AVX2_WORD __m256 qir_avx2_part(__m256 v, int32_t count, __m256 rest) {
    return _mm256_blendv_ps(rest, v, _mm256_castsi256_ps(qir_avx2_first(count)));
}

QIR_AVX2_WORD __m256 qir_avx2_all(float v) {
    return _mm256_set1_ps(v);
}

QIR_AVX2_WORD __m256 qir_avx2_add(__m256 a, __m256 b) {
    return _mm256_add_ps(a, b);
}

QIR_AVX2_WORD __m256 qir_avx2_sub(__m256 a, __m256 b) {
    return _mm256_sub_ps(a, b);
}

QIR_AVX2_WORD __m256 qir_avx2_mul(__m256 a, __m256 b) {
    return _mm256_mul_ps(a, b);
}

QIR_AVX2_WORD __m256 qir_avx2_div(__m256 a, __m256 b) {
    return _mm256_div_ps(a, b);
}

QIR_AVX2_WORD __m256 qir_avx2_fma(__m256 a, __m256 b, __m256 c) {
    return _mm256_fmadd_ps(a, b, c);
}

QIR_AVX2_WORD __m256 qir_avx2_fnma(__m256 a, __m256 b, __m256 c) {
    return _mm256_fnmadd_ps(a, b, c);
}

/* Of two operands, one of them NaN, or both zero, the instructions take the second. */
QIR_AVX2_WORD __m256 qir_avx2_max(__m256 a, __m256 b) {
    return _mm256_max_ps(a, b);
}

QIR_AVX2_WORD __m256 qir_avx2_min(__m256 a, __m256 b) {
    return _mm256_min_ps(a, b);
}

QIR_AVX2_WORD __m256 qir_avx2_sqrt(__m256 v) {
    return _mm256_sqrt_ps(v);
}

QIR_AVX2_WORD __m256 qir_avx2_rint(__m256 v) {
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

QIR_AVX2_WORD __m256 qir_avx2_floor(__m256 v) {
    return _mm256_floor_ps(v);
}

QIR_AVX2_WORD __m256 qir_avx2_ceil(__m256 v) {
    return _mm256_ceil_ps(v);
}

QIR_AVX2_WORD __m256 qir_avx2_abs(__m256 v) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}

QIR_AVX2_WORD __m256 qir_avx2_neg(__m256 v) {
    return _mm256_xor_ps(_mm256_set1_ps(-0.0f), v);
}

/* |size| with the sign of `sign`. */
QIR_AVX2_WORD __m256 qir_avx2_signed(__m256 size, __m256 sign) {
    return _mm256_or_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), size), _mm256_and_ps(_mm256_set1_ps(-0.0f), sign));
}

QIR_AVX2_WORD __m256 qir_avx2_less(__m256 a, __m256 b) {
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

QIR_AVX2_WORD __m256 qir_avx2_same(__m256 a, __m256 b) {
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}

QIR_AVX2_WORD __m256 qir_avx2_either(__m256 a, __m256 b) {
    return _mm256_or_ps(a, b);
}

QIR_AVX2_WORD __m256 qir_avx2_pick(__m256 mask, __m256 yes, __m256 no) {
    return _mm256_blendv_ps(no, yes, mask);
}

/* v * 2^n for whole n in [-252, 254]: halves of n stay normal, and only the last product is rounded. */
QIR_AVX2_WORD __m256 qir_avx2_scale(__m256 v, __m256 n) {
    const __m256i whole = _mm256_cvtps_epi32(n), one = _mm256_castps_si256(_mm256_set1_ps(1.0f));
    const __m256i half = _mm256_srai_epi32(whole, 1), rest = _mm256_sub_epi32(whole, half);
    v = _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_add_epi32(one, _mm256_slli_epi32(half, 23))));
    return _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_add_epi32(one, _mm256_slli_epi32(rest, 23))));
}

/* v = fraction * 2^n, fraction in [1, 2), of normal numbers above zero. */
QIR_AVX2_WORD __m256 qir_avx2_exponent(__m256 v) {
    const __m256i bits = _mm256_srli_epi32(_mm256_castps_si256(v), 23);
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(bits, _mm256_set1_epi32(127)));
}

QIR_AVX2_WORD __m256 qir_avx2_fraction(__m256 v) {
    const __m256i bits = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7fffff));
    return _mm256_castsi256_ps(_mm256_or_si256(bits, _mm256_castps_si256(_mm256_set1_ps(1.0f))));
}

/* ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)) */
QIR_AVX2_WORD float qir_avx2_sum(__m256 v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

QIR_AVX2_WORD float qir_avx2_most(__m256 v) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

#endif
