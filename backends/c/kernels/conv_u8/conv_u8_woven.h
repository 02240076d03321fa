/* Windows of a block of output pixels as woven codes (runtime/qir_woven.h). */
#ifndef QIR_CONV_U8_WOVEN_H
#define QIR_CONV_U8_WOVEN_H

#include "../../runtime/qir_woven.h"
#include "../../runtime/qir_x86.h"
#include "conv_u8_tiles.h"

/* The sums of a panel of sixteen channels, and what their results depend on. */
typedef struct {
    const qir_row *pixels;
    int32_t count;    /* of them */
    int32_t channels; /* that are left from the panel's first one on */
    const int32_t *sums;
    const float *multiplier;
    const qir_requant *requant;
    const qir_sum *sum;   /* where results are sums with other codes */
    const uint8_t *other; /* these, as y is */
    uint8_t *y;           /* the first result, of whatever type */
} qir_conv_u8_panel;

typedef void qir_conv_u8_results(const qir_conv_u8_panel *p);

/* The room in scratch. What vectors are written to comes first: where scratch begins with a line of the cache, none of
   them lies on two. */
typedef struct {
    uint8_t *woven;
    int32_t *sums;         /* [pixels][16] */
    int32_t *offsets;      /* [pixels, and one where they are odd], of words alone */
    qir_row *pixels;
    const void **segments; /* see qir_conv_u8_open */
} qir_conv_u8_loom;

static inline qir_conv_u8_loom qir_conv_u8_set_up(const qir_conv_u8_blocks *b, ptrdiff_t bytes, int32_t rows, void *scratch) {
    const ptrdiff_t pixels = (ptrdiff_t)b->rows * b->columns + rows - 1;
    qir_conv_u8_loom loom;
    loom.woven = (uint8_t *)scratch;
    loom.sums = (int32_t *)(void *)(loom.woven + pixels * bytes);
    loom.offsets = loom.sums + 16 * pixels;
    loom.pixels = (qir_row *)(void *)(loom.offsets + (pixels + pixels % 2));
    loom.segments = (const void **)(void *)(loom.pixels + pixels);
    return loom;
}

/* Of a tile's rows there may be more than pixels: those take the last pixel again. */
static inline const uint8_t *qir_conv_u8_row(const qir_row *pixel, int32_t pixels, int32_t row, const uint8_t *x) {
    return x + pixel[row < pixels ? row : pixels - 1].from;
}

/* A segment of all pixels begins as many bytes after its first one. */
static inline ptrdiff_t qir_conv_u8_skip(const qir_conv_u8_loom *loom, int32_t segment) {
    return (const uint8_t *)loom->segments[segment] - (const uint8_t *)loom->segments[0];
}

/* A tile of codes as they are, laid by whole chunks of two neighbouring rows, the last two of which may lap over those
   before. */
QIR_AVX2 static QIR_INLINE void qir_conv_u8_weave_codes(const qir_conv_u8_loom *loom, int32_t segments, int32_t length,
                                                        const uint8_t *x, const qir_row *pixel, int32_t pixels,
                                                        int32_t rows, uint8_t *to) {
    int32_t segment, row, i;
    for (row = 0; row < rows; row += 2) {
        const int32_t at = row < rows - 2 ? row : rows - 2;
        const uint8_t *const first = qir_conv_u8_row(pixel, pixels, at, x);
        const uint8_t *const second = qir_conv_u8_row(pixel, pixels, at + 1, x);
        uint8_t *chunk = to + 16 * at;
        for (segment = 0; segment < segments; ++segment) {
            const ptrdiff_t skip = qir_conv_u8_skip(loom, segment);
            for (i = 0; i < length; i += 16, chunk += (ptrdiff_t)16 * rows) {
                memcpy(chunk, first + skip + i, 16);
                memcpy(chunk + 16, second + skip + i, 16);
            }
        }
    }
}

/* Eight codes of each of two rows as words of 16 bits. */
QIR_AVX2 static QIR_INLINE __m256i qir_conv_u8_words(const uint8_t *first, const uint8_t *second) {
    return _mm256_cvtepu8_epi16(_mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)first),
                                                   _mm_loadl_epi64((const __m128i *)(const void *)second)));
}

/* Sixteen codes of each of two rows, one beside the other. */
QIR_AVX2 static QIR_INLINE __m256i qir_conv_u8_beside(const uint8_t *first, const uint8_t *second) {
    const __m256i lower = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)first));
    return _mm256_inserti128_si256(lower, _mm_loadu_si128((const __m128i *)(const void *)second), 1);
}

/* Lays words, and gives their sums less crossed products. */
QIR_AVX2 static QIR_INLINE __m256i qir_conv_u8_lay(__m256i words, __m256i sums, uint8_t *to) {
    _mm256_storeu_si256((__m256i *)(void *)to, words);
    return qir_less_crossed(words, sums);
}

/* A tile of codes as words, three or four rows, and their offsets. */
QIR_AVX2 static QIR_INLINE void qir_conv_u8_weave_words(const qir_conv_u8_loom *loom, int32_t segments, int32_t length,
                                                        const uint8_t *x, const qir_row *pixel, int32_t pixels,
                                                        int32_t rows, uint8_t *to, int32_t *offset) {
    const uint8_t *const first = qir_conv_u8_row(pixel, pixels, 0, x);
    const uint8_t *const second = qir_conv_u8_row(pixel, pixels, 1, x);
    const uint8_t *const third = qir_conv_u8_row(pixel, pixels, rows - 2, x);
    const uint8_t *const last = qir_conv_u8_row(pixel, pixels, rows - 1, x);
    const __m256i zero = _mm256_setzero_si256();
    const ptrdiff_t chunk = (ptrdiff_t)16 * rows, below = 16 * (ptrdiff_t)(rows - 2);
    __m256i upper = zero, lower = zero;
    int32_t segment, i;
    for (segment = 0; segment < segments; ++segment) {
        const ptrdiff_t skip = qir_conv_u8_skip(loom, segment);
        for (i = 0; i < length - 8; i += 16, to += 2 * chunk) {
            const __m256i two = qir_conv_u8_beside(first + skip + i, second + skip + i);
            const __m256i others = qir_conv_u8_beside(third + skip + i, last + skip + i);
            upper = qir_conv_u8_lay(_mm256_unpacklo_epi8(two, zero), upper, to);
            lower = qir_conv_u8_lay(_mm256_unpacklo_epi8(others, zero), lower, to + below);
            upper = qir_conv_u8_lay(_mm256_unpackhi_epi8(two, zero), upper, to + chunk);
            lower = qir_conv_u8_lay(_mm256_unpackhi_epi8(others, zero), lower, to + chunk + below);
        }
        if (i < length) {
            upper = qir_conv_u8_lay(qir_conv_u8_words(first + skip + i, second + skip + i), upper, to);
            lower = qir_conv_u8_lay(qir_conv_u8_words(third + skip + i, last + skip + i), lower, to + below);
            to += chunk;
        }
    }
    qir_put_offsets(upper, offset);
    qir_put_offsets(lower, offset + rows - 2);
}

/* All pixels of a block; x: a group's first code. */
QIR_AVX2 QIR_ALONE static void qir_conv_u8_weave(const qir_conv_u8_loom *loom, int32_t segments, int32_t length, int32_t wide,
                                                 const qir_heights *cut, int32_t most, const uint8_t *x) {
    const qir_row *pixel = loom->pixels;
    uint8_t *to = loom->woven;
    int32_t *offset = loom->offsets;
    int32_t i;
    for (i = 0; i < cut->higher + cut->lower; ++i) {
        const int32_t pixels = i < cut->higher ? cut->high : cut->high - 1, rows = qir_woven_rows(pixels, most);
        if (wide) {
            qir_conv_u8_weave_words(loom, segments, length, x, pixel, pixels, rows, to, offset);
        } else {
            qir_conv_u8_weave_codes(loom, segments, length, x, pixel, pixels, rows, to);
        }
        pixel += pixels;
        offset += pixels;
        to += ((ptrdiff_t)segments * length << wide) * rows;
    }
}

#endif
