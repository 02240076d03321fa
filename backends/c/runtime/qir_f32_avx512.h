/* Sixteen floats at a time: what the words of qir_f32_words.h mean on AVX-512. */
#ifndef QIR_F32_AVX512_H
#define QIR_F32_AVX512_H

#include "qir_x86.h"

#define QIR_AVX512_ISA QIR_AVX512VNNI
#define QIR_AVX512_WORD QIR_AVX512VNNI static QIR_INLINE

typedef __m512 qir_avx512_f32;
typedef __mmask16 qir_avx512_mask;
#define QIR_AVX512_WIDTH 16
#define QIR_AVX512_BY_LANE 0
/* Rows of a tile of two vectors: their sums, two weights and a value fit the registers. */
#define QIR_AVX512_TALLEST 14

QIR_AVX512_WORD __m512 qir_avx512_load(const float *from) {
    return _mm512_loadu_ps(from);
}

QIR_AVX512_WORD void qir_avx512_store(float *to, __m512 v) {
    _mm512_storeu_ps(to, v);
}

/* Lanes below count, of which there are at most sixteen. */
QIR_AVX512_WORD __mmask16 qir_avx512_first(int32_t count) {
    return (__mmask16)((1u << count) - 1u);
}

QIR_AVX512_WORD __m512 qir_avx512_load_part(const float *from, int32_t count) {
    return _mm512_maskz_loadu_ps(qir_avx512_first(count), from);
}

QIR_AVX512_WORD void qir_avx512_store_part(float *to, int32_t count, __m512 v) {
    _mm512_mask_storeu_ps(to, qir_avx512_first(count), v);
}

QIR_AVX512_WORD __m512 qir_avx512_part(__m512 v, int32_t count, __m512 rest) {
    return _mm512_mask_blend_ps(qir_avx512_first(count), rest, v);
}

QIR_AVX512_WORD __m512 qir_avx512_all(float v) {
    return _mm512_set1_ps(v);
}

QIR_AVX512_WORD __m512 qir_avx512_add(__m512 a, __m512 b) {
    return _mm512_add_ps(a, b);
}

QIR_AVX512_WORD __m512 qir_avx512_sub(__m512 a, __m512 b) {
    return _mm512_sub_ps(a, b);
}

QIR_AVX512_WORD __m512 qir_avx512_mul(__m512 a, __m512 b) {
    return _mm512_mul_ps(a, b);
}

QIR_AVX512_WORD __m512 qir_avx512_div(__m512 a, __m512 b) {
    return _mm512_div_ps(a, b);
}

QIR_AVX512_WORD __m512 qir_avx512_fma(__m512 a, __m512 b, __m512 c) {
    return _mm512_fmadd_ps(a, b, c);
}

QIR_AVX512_WORD __m512 qir_avx512_fnma(__m512 a, __m512 b, __m512 c) {
    return _mm512_fnmadd_ps(a, b, c);
}

/* Of two operands, one of them NaN, or both zero, the instructions take the second. */
QIR_AVX512_WORD __m512 qir_avx512_max(__m512 a, __m512 b) {
    return _mm512_max_ps(a, b);
}

QIR_AVX512_WORD __m512 qir_avx512_min(__m512 a, __m512 b) {
    return _mm512_min_ps(a, b);
}

QIR_AVX512_WORD __m512 qir_avx512_sqrt(__m512 v) {
    return _mm512_sqrt_ps(v);
}

QIR_AVX512_WORD __m512 qir_avx512_rint(__m512 v) {
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

QIR_AVX512_WORD __m512 qir_avx512_floor(__m512 v) {
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}

QIR_AVX512_WORD __m512 qir_avx512_ceil(__m512 v) {
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}

QIR_AVX512_WORD __m512 qir_avx512_abs(__m512 v) {
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), v);
}

QIR_AVX512_WORD __m512 qir_avx512_neg(__m512 v) {
    return _mm512_xor_ps(_mm512_set1_ps(-0.0f), v);
}

/* |size| with the sign of `sign`. */
QIR_AVX512_WORD __m512 qir_avx512_signed(__m512 size, __m512 sign) {
    return _mm512_or_ps(_mm512_andnot_ps(_mm512_set1_ps(-0.0f), size), _mm512_and_ps(_mm512_set1_ps(-0.0f), sign));
}

QIR_AVX512_WORD __mmask16 qir_avx512_less(__m512 a, __m512 b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

QIR_AVX512_WORD __mmask16 qir_avx512_same(__m512 a, __m512 b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}

QIR_AVX512_WORD __mmask16 qir_avx512_either(__mmask16 a, __mmask16 b) {
    return (__mmask16)(a | b);
}

QIR_AVX512_WORD __m512 qir_avx512_pick(__mmask16 mask, __m512 yes, __m512 no) {
    return _mm512_mask_blend_ps(mask, no, yes);
}

/* v * 2^n for whole n, rounded once. */
QIR_AVX512_WORD __m512 qir_avx512_scale(__m512 v, __m512 n) {
    return _mm512_scalef_ps(v, n);
}

/* v = fraction * 2^n, fraction in [1, 2), of normal numbers above zero. */
QIR_AVX512_WORD __m512 qir_avx512_exponent(__m512 v) {
    return _mm512_getexp_ps(v);
}

QIR_AVX512_WORD __m512 qir_avx512_fraction(__m512 v) {
    return _mm512_getmant_ps(v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero);
}

QIR_AVX512_WORD __m256 qir_avx512_half(__m512 v, int32_t high) {
    return high ? _mm512_extractf32x8_ps(v, 1) : _mm512_castps512_ps256(v);
}

/* Halves are added until one number is left. */
QIR_AVX512_WORD float qir_avx512_sum(__m512 v) {
    const __m256 eight = _mm256_add_ps(qir_avx512_half(v, 0), qir_avx512_half(v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

QIR_AVX512_WORD float qir_avx512_most(__m512 v) {
    const __m256 eight = _mm256_max_ps(qir_avx512_half(v, 0), qir_avx512_half(v, 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

#endif
