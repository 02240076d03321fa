/* Windows of a block of output pixels as woven codes (runtime/qir_woven.h). */
#ifndef QIR_CONV_U8_WOVEN_H
#define QIR_CONV_U8_WOVEN_H

#include "../../runtime/qir_woven.h"
#include "../../runtime/qir_x86.h"
#include "conv_u8_tiles.h"

/* The room in scratch. What vectors are written to comes first: where scratch begins with a line of the cache, none of
   them lies on two. */
typedef struct {
    uint8_t *woven;
    int32_t *sums;         /* [pixels][16] */
    qir_row *pixels;
    const void **segments; /* see qir_conv_u8_open */
} qir_conv_u8_loom;

static inline qir_conv_u8_loom qir_conv_u8_set_up(const qir_conv_u8_blocks *b, ptrdiff_t bytes, int32_t rows, void *scratch) {
    const ptrdiff_t pixels = (ptrdiff_t)b->rows * b->columns + rows - 1;
    qir_conv_u8_loom loom;
    loom.woven = (uint8_t *)scratch;
    loom.sums = (int32_t *)(void *)(loom.woven + pixels * bytes);
    loom.pixels = (qir_row *)(void *)(loom.sums + 16 * pixels);
    loom.segments = (const void **)(void *)(loom.pixels + pixels);
    return loom;
}

/* Lays `count` codes of two neighbouring rows of a tile, by whole chunks, into chunks `apart` bytes apart; as words of 16
   bits, or as they are. */
QIR_AVX2 static QIR_INLINE void qir_conv_u8_chunks(const uint8_t *first, const uint8_t *second, int32_t count, int32_t wide,
                                                   ptrdiff_t apart, uint8_t *to) {
    int32_t i;
    for (i = 0; i + 16 <= count; i += 16, to += apart << wide) {
        const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(first + i));
        const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(second + i));
        if (wide) {
            _mm256_storeu_si256((__m256i *)(void *)to, _mm256_cvtepu8_epi16(_mm_unpacklo_epi64(a, b)));
            _mm256_storeu_si256((__m256i *)(void *)(to + apart), _mm256_cvtepu8_epi16(_mm_unpackhi_epi64(a, b)));
        } else {
            _mm_storeu_si128((__m128i *)(void *)to, a);
            _mm_storeu_si128((__m128i *)(void *)(to + 16), b);
        }
    }
    if (wide && i < count) {
        const __m128i a = _mm_loadl_epi64((const __m128i *)(const void *)(first + i));
        const __m128i b = _mm_loadl_epi64((const __m128i *)(const void *)(second + i));
        _mm256_storeu_si256((__m256i *)(void *)to, _mm256_cvtepu8_epi16(_mm_unpacklo_epi64(a, b)));
    }
}

/* A tile's pixels, of which there may be fewer than its rows. These are laid by twos, the last one of an odd number beside
   the one before it again. */
QIR_AVX2 static QIR_INLINE void qir_conv_u8_weave_tile(const qir_conv_u8_loom *loom, int32_t segments, int32_t length,
                                                       int32_t wide, const uint8_t *x, const qir_row *pixel,
                                                       int32_t pixels, int32_t rows, uint8_t *to) {
    const int32_t last = pixels - 1;
    int32_t segment, row;
    for (segment = 0; segment < segments; ++segment, to += ((ptrdiff_t)length << wide) * rows) {
        const uint8_t *const from = x + ((const uint8_t *)loom->segments[segment] - (const uint8_t *)loom->segments[0]);
        for (row = 0; row < rows; row += 2) {
            const int32_t at = row < rows - 2 ? row : rows - 2, first = at < last ? at : last;
            qir_conv_u8_chunks(from + pixel[first].from, from + pixel[first < last ? first + 1 : last].from, length, wide,
                               (ptrdiff_t)16 * rows, to + 16 * at);
        }
    }
}

/* All pixels of a block; x: a group's first code. */
QIR_AVX2 QIR_ALONE static void qir_conv_u8_weave(const qir_conv_u8_loom *loom, int32_t segments, int32_t length, int32_t wide,
                                                 const qir_heights *cut, int32_t most, const uint8_t *x) {
    const qir_row *pixel = loom->pixels;
    uint8_t *to = loom->woven;
    int32_t i;
    for (i = 0; i < cut->higher + cut->lower; ++i) {
        const int32_t pixels = i < cut->higher ? cut->high : cut->high - 1, rows = qir_woven_rows(pixels, most);
        if (wide) {
            qir_conv_u8_weave_tile(loom, segments, length, 1, x, pixel, pixels, rows, to);
        } else {
            qir_conv_u8_weave_tile(loom, segments, length, 0, x, pixel, pixels, rows, to);
        }
        pixel += pixels;
        to += ((ptrdiff_t)segments * length << wide) * rows;
    }
}

#endif
