/* Binary convolutions and matrix products with few levels on AVX2: lanes are 32 pixels side by side.

   As in conv_bits_avx2.h ones are looked up for four bits at once, but here weights choose the table, through which four
   bits of 32 pixels go. Its entries hold the ones with two channels' weights, those of the second in the upper four bits;
   so a lookup counts 256 products. Three of them, at most 4 ones each, may be added before the upper bits are taken out.

   The input lies in planes: of each byte of a pixel the low and the high four bits, a byte each. Every column of taps
   has planes of its own, in which the pixels under it follow each other as those of the result do, row by row without a
   gap; and rows of taps share them where they lie strides apart. A step is a plane at a tap, and steps are filled up to
   threes by those of a plane that has no ones with anything.

   Outside the input, where real zeros are b = 0, half bytes are 0. Where they lie in the middle between codes (step = 2
   zero, so -1 and 1), a tap there is to give step * (|w| - ones) - zero * (sum of w) = 0 with sum of w = 2 |w| - C, so
   it has ones = C / 2, whatever the weights: half bytes are 0x80, in whose place vpshufb gives no ones, and counts
   start with C / 2 for each of the taps.

   Thresholds come as numbers of ones: sum = bias - step * ones >= t where ones < limit = floor((bias - t) / step) + 1. */
#include "conv_bits_avx2.h"
#include "conv_bits_pixels.h"

/* What is counted: two channels of `vectors` times 32 pixels. */
typedef struct {
    const uint8_t *tables;    /* [half byte of the second channel][of the first][of a pixel] */
    const uint8_t *const *x;  /* of a step, at the first of the pixels */
    const uint8_t *const *end; /* of steps, whole threes */
    const int16_t *start;     /* ones of taps outside, in the order of `ones` */
    int32_t vectors;
} qir_bits_pixels_count;

QIR_AVX2 static QIR_INLINE void qir_bits_pair_tables(uint8_t *tables) {
    const uint8_t *const single = qir_bits_avx2_xor();
    int32_t second, first;
    for (second = 0; second < 256; second += 16) {
        const __m128i upper = _mm_slli_epi16(qir_bits_sixteen_bytes(single + second), 4);
        for (first = 0; first < 256; first += 16, tables += 16) {
            const __m128i both = _mm_add_epi8(qir_bits_sixteen_bytes(single + first), upper);
            _mm_storeu_si128((__m128i *)(void *)tables, both);
        }
    }
}

/* sum += bytes. As an intrinsic gcc adds to the other operand, and copies. */
#if defined(__GNUC__)
#define QIR_BITS_PIXELS_ADD(sum, bytes) __asm__("vpaddb %1, %0, %0" : "+x"(sum) : "x"(bytes))
#else
#define QIR_BITS_PIXELS_ADD(sum, bytes) ((sum) = _mm256_add_epi8(sum, bytes))
#endif

/* Counts of 32 pixels: `both` is the sum of what is looked up modulo 256, first + 16 second, `second` of its upper four
   bits; first = both - 16 second. gcc would first add the lookups of all, which takes more registers than there are. */
#define QIR_BITS_PIXELS_BEGIN(i) __m256i both##i = zero, second##i = zero;
#define QIR_BITS_PIXELS_LOOK(table, x, i) _mm256_shuffle_epi8(table, qir_avx2_vector((x) + 32 * (i)))
#define QIR_BITS_PIXELS_STEPS(i)                               \
    v = QIR_BITS_PIXELS_LOOK(table0, x0, i);                   \
    QIR_BITS_PIXELS_ADD(v, QIR_BITS_PIXELS_LOOK(table1, x1, i)); \
    QIR_BITS_PIXELS_ADD(v, QIR_BITS_PIXELS_LOOK(table2, x2, i)); \
    QIR_BITS_PIXELS_ADD(both##i, v);                           \
    QIR_BITS_PIXELS_ADD(second##i, _mm256_and_si256(_mm256_srli_epi16(v, 4), mask));
#define QIR_BITS_PIXELS_END(i)                                                                    \
    v = _mm256_slli_epi16(_mm256_and_si256(second##i, mask), 4);                                  \
    qir_bits_pixels_widen(_mm256_sub_epi8(both##i, v), begin + 32 * (i), ones + 32 * (i));        \
    qir_bits_pixels_widen(second##i, begin + then + 32 * (i), ones + 128 + 32 * (i));
#define QIR_BITS_PIXELS_TABLE(which) \
    _mm256_broadcastsi128_si256(qir_bits_sixteen_bytes(c->tables + 16 * (ptrdiff_t)(which)))

/* Bytes to 16 bits: those of bytes 0..7 and 16..23 of a vector, then the others. */
QIR_AVX2 static QIR_INLINE void qir_bits_pixels_widen(__m256i counts, const int16_t *begin, int16_t *ones) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i low = _mm256_unpacklo_epi8(counts, zero), high = _mm256_unpackhi_epi8(counts, zero);
    _mm256_storeu_si256((__m256i *)(void *)ones, _mm256_add_epi16(qir_avx2_vector(begin), low));
    _mm256_storeu_si256((__m256i *)(void *)(ones + 16), _mm256_add_epi16(qir_avx2_vector(begin + 16), high));
}

/* w: [step], half bytes of the first channel and of the second. After 63 lookups, of at most 4 ones, lanes of bytes are
   widened. ones: [channel][pixel], 128 of each channel. */
#define QIR_BITS_PIXELS(n)                                                                                         \
    QIR_AVX2 QIR_ALONE static void qir_bits_pixels_count##n(const qir_bits_pixels_count *c, const uint8_t *w,      \
                                                            int16_t *ones) {                                       \
        const __m256i zero = _mm256_setzero_si256(), mask = _mm256_set1_epi8(15);                                  \
        const int16_t *begin = c->start;                                                                           \
        const uint8_t *const *x = c->x;                                                                            \
        ptrdiff_t then = 0;                                                                                        \
        while (x < c->end) {                                                                                       \
            const uint8_t *const *const last = c->end - x < 63 ? c->end : x + 63;                                  \
            __m256i v;                                                                                             \
            QIR_EACH_##n(QIR_BITS_PIXELS_BEGIN) for (; x < last; x += 3, w += 3) {                                 \
                const uint8_t *const x0 = x[0], *const x1 = x[1], *const x2 = x[2];                                \
                const __m256i table0 = QIR_BITS_PIXELS_TABLE(w[0]), table1 = QIR_BITS_PIXELS_TABLE(w[1]);          \
                const __m256i table2 = QIR_BITS_PIXELS_TABLE(w[2]);                                                \
                QIR_EACH_##n(QIR_BITS_PIXELS_STEPS)                                                                \
            }                                                                                                      \
            QIR_EACH_##n(QIR_BITS_PIXELS_END) begin = ones;                                                        \
            then = 128;                                                                                            \
        }                                                                                                          \
    }

QIR_BITS_PIXELS(2) QIR_BITS_PIXELS(3) QIR_BITS_PIXELS(4)

/* Ones where counts of 32 pixels stay below a limit. */
QIR_AVX2 static QIR_INLINE __m256i qir_bits_pixels_below(const int16_t *ones, int16_t limit) {
    const __m256i bound = _mm256_set1_epi16(limit);
    return _mm256_packs_epi16(_mm256_cmpgt_epi16(bound, qir_avx2_vector(ones)),
                              _mm256_cmpgt_epi16(bound, qir_avx2_vector(ones + 16)));
}

QIR_AVX2 static QIR_INLINE void qir_bits_pixels_set(__m256i first, __m256i second, int32_t channel, uint8_t *to) {
    const __m256i own = _mm256_set1_epi8((char)(1 << (channel & 7))), next = _mm256_add_epi8(own, own);
    const __m256i both = _mm256_or_si256(_mm256_and_si256(first, own), _mm256_and_si256(second, next));
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_or_si256(qir_avx2_vector(to), both));
}

/* Adds the bits of a channel and the next to the bytes of their eight at every pixel: of the number of limits that ones
   stay below, at most three, in binary. The carry is the high bit. */
QIR_AVX2 static QIR_INLINE void qir_bits_pixels_reached(const qir_conv_bits_shape *s, int32_t vectors,
                                                        const int16_t *ones, const int16_t *limit, int32_t channel,
                                                        uint8_t *low, uint8_t *high) {
    int32_t i, j, level;
    if (s->levels == 2) {
        for (i = 0; i < vectors; ++i, ones += 32, low += 32) {
            qir_bits_pixels_set(qir_bits_pixels_below(ones, limit[channel]),
                                qir_bits_pixels_below(ones + 128, limit[channel + 1]), channel, low);
        }
        return;
    }
    for (i = 0; i < vectors; ++i, ones += 32, low += 32, high += 32) {
        __m256i one[2], two[2];
        for (j = 0; j < 2; ++j) {
            one[j] = two[j] = _mm256_setzero_si256();
            for (level = 0; level < s->levels - 1; ++level) {
                const int16_t bound = limit[level * s->outputs + channel + j];
                const __m256i below = qir_bits_pixels_below(ones + 128 * j, bound);
                two[j] = _mm256_or_si256(two[j], _mm256_and_si256(one[j], below));
                one[j] = _mm256_xor_si256(one[j], below);
            }
        }
        qir_bits_pixels_set(one[0], one[1], channel, low);
        qir_bits_pixels_set(two[0], two[1], channel, high);
    }
}

/* [bytes][count] to [count][bytes], count a multiple of 32. To interleave the halves of an array turns the bits of
   places by one, so bytes that are a power of two arrive by as many times; `other` is as large. Returns where they
   are. */
QIR_AVX2 static QIR_INLINE uint8_t *qir_bits_pixels_turned(int32_t bytes, int32_t count, uint8_t *from,
                                                           uint8_t *other) {
    const int32_t half = bytes * count / 2;
    int32_t i, j, times;
    if (bytes & (bytes - 1)) {
        for (i = 0; i < bytes; ++i) {
            for (j = 0; j < count; ++j) {
                other[j * bytes + i] = from[i * count + j];
            }
        }
        return other;
    }
    for (times = 1; times < bytes; times *= 2) {
        uint8_t *const to = other;
        for (i = 0; i < half; i += 16) {
            const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
            const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(from + half + i));
            _mm_storeu_si128((__m128i *)(void *)(to + 2 * i), _mm_unpacklo_epi8(a, b));
            _mm_storeu_si128((__m128i *)(void *)(to + 2 * i + 16), _mm_unpackhi_epi8(a, b));
        }
        other = from;
        from = to;
    }
    return from;
}

/* Codes of channels whose bits are those of `bytes` bytes; what is read beyond, up to four bytes, nobody sees. */
QIR_AVX2 static QIR_INLINE void qir_bits_pixels_codes(const qir_conv_bits_shape *s, const uint8_t *low,
                                                      const uint8_t *high, int32_t bytes, uint8_t *y) {
    const __m256i own = _mm256_set1_epi64x((int64_t)0x8040201008040201), base = _mm256_set1_epi8((char)s->y_low);
    const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3,
                                            3, 3, 3, 3, 3, 3);
    const __m256i step = _mm256_set1_epi8((char)s->y_step), steps = _mm256_set1_epi8((char)(2 * s->y_step));
    int32_t i;
    for (i = 0; i < bytes; i += 4, y += 32) {
        const __m256i bits = _mm256_shuffle_epi8(_mm256_set1_epi32(qir_four_bytes(low + i)), spread);
        __m256i codes = _mm256_cmpeq_epi8(_mm256_and_si256(bits, own), own);
        codes = _mm256_add_epi8(base, _mm256_and_si256(codes, step));
        if (high) {
            const __m256i more = _mm256_shuffle_epi8(_mm256_set1_epi32(qir_four_bytes(high + i)), spread);
            const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(more, own), own);
            codes = _mm256_add_epi8(codes, _mm256_and_si256(set, steps));
        }
        if (i + 4 <= bytes) {
            _mm256_storeu_si256((__m256i *)(void *)y, codes);
        } else {
            uint8_t part[32];
            _mm256_storeu_si256((__m256i *)(void *)part, codes);
            (void)memcpy(y, part, (size_t)(8 * (bytes - i)));
        }
    }
}

/* Results of `pixels`. */
QIR_AVX2 static QIR_INLINE void qir_bits_pixels_give(const qir_conv_bits_shape *s, const uint8_t *from, int32_t pixels,
                                                     uint8_t *y) {
    const int32_t bytes = s->outputs / 8, planes = s->levels > 2 ? 2 : 1;
    if (s->y_bits) {
        (void)memcpy(y, from, (size_t)(pixels * bytes * planes));
    } else if (planes == 1) {
        qir_bits_pixels_codes(s, from, 0, pixels * bytes, y);
    } else {
        for (; pixels; --pixels, from += 2 * bytes, y += s->outputs) {
            qir_bits_pixels_codes(s, from, from + bytes, bytes, y);
        }
    }
}

/* Weights: [pair of channels][step], and two bytes that are read and not used; limits: [level - 1][channel]. Channels of
   the result are whole bytes. scratch: see pixels.py. */
QIR_AVX2
void qir_conv_bits_pixels__avx2(const qir_conv_bits_shape *s, const qir_bits_block *b, const uint8_t *QIR_RESTRICT x,
                                const uint8_t *QIR_RESTRICT w, const int16_t *QIR_RESTRICT limits,
                                void *QIR_RESTRICT scratch, uint8_t *QIR_RESTRICT y) {
    const qir_window *const win = &s->window;
    const int32_t steps = 2 * win->kernel[1] * win->kernel[2] * s->bytes, bytes = s->outputs / 8;
    const int32_t planes = s->levels > 2 ? 2 : 1, height = win->out[1], width = win->out[2];
    const int32_t pixel = s->y_bits ? bytes * planes : s->outputs;
    uint8_t *const tables = (uint8_t *)scratch;
    int16_t *const ones = (int16_t *)(void *)(tables + 4096);
    int16_t *const start = ones + 256;
    int16_t *const columns = start + b->starts;
    uint8_t *const halves = (uint8_t *)(columns + (width + 47) / 32 * 32);
    const uint8_t **const place = (const uint8_t **)(void *)(halves + (ptrdiff_t)(b->planes + 1) * b->plane);
    const uint8_t **const end = place + (steps + 2) / 3 * 3;
    uint8_t *const found = (uint8_t *)(void *)end;
    uint8_t *const other = found + (ptrdiff_t)128 * bytes * planes;
    qir_bits_pixels_count count;
    int32_t sample, row, first, channel;
    count.tables = tables;
    count.x = place;
    count.end = end;
    qir_bits_pair_tables(tables);
    (void)memset(start, 0, (size_t)b->starts * sizeof *start);
    (void)memset(halves + (ptrdiff_t)b->planes * b->plane, 0x80, (size_t)b->plane);
    if (s->padded) {
        qir_bits_columns_inside(win, b->half, columns);
    }
    for (sample = 0; sample < win->batch; ++sample, x += (ptrdiff_t)win->in[1] * win->in[2] * s->bytes) {
        for (row = 0; row < height; row += b->rows) {
            const int32_t rows = height - row < b->rows ? height - row : b->rows, pixels = rows * width;
            qir_bits_halves(s, b, x, row, rows, halves);
            if (s->padded) {
                qir_bits_starts_outside(s, b, columns, row, rows, start);
            }
            for (first = 0; first < pixels; first += 32 * count.vectors) {
                const int32_t left = (pixels - first + 31) / 32, rest = pixels - first;
                const uint8_t *weights = w;
                uint8_t *turned;
                count.vectors = left > 4 ? 4 : left < 2 ? 2 : left;
                qir_bits_places(s, b, halves + first, place);
                count.start = s->padded ? start + first : start;
                (void)memset(found, 0, (size_t)(32 * count.vectors * bytes * planes));
                for (channel = 0; channel < s->outputs; channel += 2, weights += steps) {
                    const ptrdiff_t at = (ptrdiff_t)(channel / 8) * 32 * count.vectors;
                    uint8_t *const low = found + at, *const high = low + (ptrdiff_t)bytes * 32 * count.vectors;
                    if (count.vectors == 4) {
                        qir_bits_pixels_count4(&count, weights, ones);
                    } else if (count.vectors == 3) {
                        qir_bits_pixels_count3(&count, weights, ones);
                    } else {
                        qir_bits_pixels_count2(&count, weights, ones);
                    }
                    qir_bits_pixels_reached(s, count.vectors, ones, limits, channel, low, high);
                }
                turned = qir_bits_pixels_turned(bytes * planes, 32 * count.vectors, found, other);
                qir_bits_pixels_give(s, turned, rest < 32 * count.vectors ? rest : 32 * count.vectors,
                                     y + (ptrdiff_t)first * pixel);
            }
            y += (ptrdiff_t)pixels * pixel;
        }
    }
}
