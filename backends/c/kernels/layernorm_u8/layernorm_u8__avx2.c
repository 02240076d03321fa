#include "../../runtime/qir_avx2.h"
#include "layernorm_u8.h"

/* template: begin */
#define QIR_X uint8_t
/* template: end */

typedef struct {
    __m256i size; /* 16-bit lanes */
    __m256i sum;
    __m256 factor;
    qir_requant8 q;
} qir_layernorm_u8_u8_avx2_row;

/* Sixteen codes in lanes of 16 bits: bytes are unsigned, longer ones signed. */
QIR_AVX2 static QIR_INLINE __m256i qir_layernorm_u8_u8_avx2_codes(const QIR_X *x) {
    return sizeof(QIR_X) == 1 ? _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)x))
                              : _mm256_loadu_si256((const __m256i *)(const void *)x);
}

/* size and code are the even 16-bit lanes of 32, the odd ones of size are zero: vpmaddwd is their product. */
QIR_AVX2 static QIR_INLINE __m256 qir_layernorm_u8_u8_avx2_eight(const qir_layernorm_u8_u8_avx2_row *r, __m128i codes,
                                                                 const float *scale, const float *bias) {
    const __m256i left = _mm256_madd_epi16(_mm256_cvtepi16_epi32(codes), r->size);
    const __m256 real = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(left, r->sum)), r->factor);
    __m256 product = _mm256_mul_ps(real, _mm256_loadu_ps(scale));
    QIR_KEEP_PRODUCT(product);
    return _mm256_add_ps(product, _mm256_loadu_ps(bias));
}

QIR_AVX2 static QIR_INLINE void qir_layernorm_u8_u8_avx2_block(const qir_layernorm_u8_u8_avx2_row *r, const QIR_X *x,
                                                               const float *scale, const float *bias, uint8_t *y) {
    const __m256i codes = qir_layernorm_u8_u8_avx2_codes(x);
    const __m256 first = qir_layernorm_u8_u8_avx2_eight(r, _mm256_castsi256_si128(codes), scale, bias);
    const __m256 second = qir_layernorm_u8_u8_avx2_eight(r, _mm256_extracti128_si256(codes, 1), scale + 8, bias + 8);
    qir_avx2_reals16_u8(first, second, r->q, y);
}

/* Sums of one row. Two squares are at most 2^31, which as a lane without sign goes on to one of 64 bits; a lane of sums
   grows by at most 2^16 with every sixteen codes, of which a row has less than 2^11 times as many. */
QIR_AVX2 static QIR_INLINE int32_t qir_layernorm_u8_u8_avx2_sums(const QIR_X *x, int32_t size, int64_t *squares) {
    const __m256i low = _mm256_set1_epi64x(0xffffffff);
    __m256i sums = _mm256_setzero_si256(), products = _mm256_setzero_si256();
    int64_t lanes[4];
    int32_t found[8], i;
    for (i = 0; i < size; i += 16) {
        QIR_X room[16] = {0};
        __m256i codes, pairs;
        if (size - i < 16) {
            memcpy(room, x + i, (size_t)(size - i) * sizeof(QIR_X));
        }
        codes = qir_layernorm_u8_u8_avx2_codes(size - i < 16 ? room : x + i);
        pairs = _mm256_madd_epi16(codes, codes);
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(codes, _mm256_set1_epi16(1)));
        products = _mm256_add_epi64(products, _mm256_and_si256(pairs, low));
        products = _mm256_add_epi64(products, _mm256_srli_epi64(pairs, 32));
    }
    _mm256_storeu_si256((__m256i *)(void *)found, sums);
    _mm256_storeu_si256((__m256i *)(void *)lanes, products);
    *squares = lanes[0] + lanes[1] + lanes[2] + lanes[3];
    return found[0] + found[1] + found[2] + found[3] + found[4] + found[5] + found[6] + found[7];
}

/* y may be x where codes have 8 bits: a row is read before it is written. */
QIR_AVX2
void qir_layernorm_u8_u8__avx2(const qir_layernorm_u8_shape *s, const float *scale, const float *bias, const QIR_X *x,
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
            QIR_X codes[16] = {0};
            uint8_t found[16];
            float scales[16] = {0}, biases[16] = {0};
            memcpy(codes, x + i, left * sizeof(QIR_X));
            memcpy(scales, scale + i, left * sizeof(float));
            memcpy(biases, bias + i, left * sizeof(float));
            qir_layernorm_u8_u8_avx2_block(&r, codes, scales, biases, found);
            memcpy(y + i, found, left);
        }
    }
}
