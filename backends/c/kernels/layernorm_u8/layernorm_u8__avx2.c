#include "../../runtime/qir_avx2.h"
#include "layernorm_u8.h"

typedef struct {
    __m256i size; /* 16-bit lanes */
    __m256i sum;
    __m256 factor;
    qir_requant8 q;
} qir_layernorm_u8_u8_avx2_row;

/* size and code are the even 16-bit lanes of 32, the odd ones of codes are zero: vpmaddwd is their product. */
QIR_AVX2 static QIR_INLINE __m256 qir_layernorm_u8_u8_avx2_eight(const qir_layernorm_u8_u8_avx2_row *r, __m128i codes,
                                                                 const float *scale, const float *bias) {
    const __m256i left = _mm256_madd_epi16(_mm256_cvtepu8_epi32(codes), r->size);
    const __m256 real = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(left, r->sum)), r->factor);
    __m256 product = _mm256_mul_ps(real, _mm256_loadu_ps(scale));
    QIR_KEEP_PRODUCT(product);
    return _mm256_add_ps(product, _mm256_loadu_ps(bias));
}

QIR_AVX2 static QIR_INLINE void qir_layernorm_u8_u8_avx2_block(const qir_layernorm_u8_u8_avx2_row *r, const uint8_t *x,
                                                               const float *scale, const float *bias, uint8_t *y) {
    const __m128i codes = _mm_loadu_si128((const __m128i *)(const void *)x);
    const __m256 first = qir_layernorm_u8_u8_avx2_eight(r, codes, scale, bias);
    const __m256 second = qir_layernorm_u8_u8_avx2_eight(r, _mm_srli_si128(codes, 8), scale + 8, bias + 8);
    qir_avx2_reals16_u8(first, second, r->q, y);
}

/* Sums of one row. A lane of squares grows by at most 2 * 255^2 with every sixteen codes, of which a row has less than
   2^11 times as many. */
QIR_AVX2 static QIR_INLINE int32_t qir_layernorm_u8_u8_avx2_sums(const uint8_t *x, int32_t size, int64_t *squares) {
    __m128i sums = _mm_setzero_si128();
    __m256i products = _mm256_setzero_si256();
    int32_t lanes[8], i, found;
    for (i = 0; i < size; i += 16) {
        uint8_t room[16] = {0};
        __m128i codes;
        __m256i wide;
        if (size - i < 16) {
            memcpy(room, x + i, (size_t)(size - i));
        }
        codes = _mm_loadu_si128((const __m128i *)(const void *)(size - i < 16 ? room : x + i));
        wide = _mm256_cvtepu8_epi16(codes);
        sums = _mm_add_epi32(sums, _mm_sad_epu8(codes, _mm_setzero_si128()));
        products = _mm256_add_epi32(products, _mm256_madd_epi16(wide, wide));
    }
    found = _mm_cvtsi128_si32(sums) + _mm_extract_epi32(sums, 2);
    _mm256_storeu_si256((__m256i *)(void *)lanes, products);
    *squares = 0;
    for (i = 0; i < 8; ++i) {
        *squares += lanes[i];
    }
    return found;
}

QIR_AVX2
void qir_layernorm_u8_u8__avx2(const qir_layernorm_u8_shape *s, const float *scale, const float *bias, const uint8_t *x,
                               uint8_t *y) {
    const int32_t size = s->size;
    qir_layernorm_u8_u8_avx2_row r;
    int32_t row, i;
    r.size = _mm256_set1_epi32(size);
    r.q = qir_widen_requant8(&s->requant);
    for (row = 0; row < s->rows; ++row, x += size, y += size) {
        int64_t squares;
        const int32_t sum = qir_layernorm_u8_u8_avx2_sums(x, size, &squares);
        r.sum = _mm256_set1_epi32(sum);
        r.factor = _mm256_set1_ps(qir_layernorm_u8_factor(s, sum, squares));
        for (i = 0; i + 16 <= size; i += 16) {
            qir_layernorm_u8_u8_avx2_block(&r, x + i, scale + i, bias + i, y + i);
        }
        if (i < size) {
            const size_t left = (size_t)(size - i);
            uint8_t codes[16] = {0};
            float scales[16] = {0}, biases[16] = {0};
            memcpy(codes, x + i, left);
            memcpy(scales, scale + i, left * sizeof(float));
            memcpy(biases, bias + i, left * sizeof(float));
            qir_layernorm_u8_u8_avx2_block(&r, codes, scales, biases, codes);
            memcpy(y + i, codes, left);
        }
    }
}
