/* Weights of 1 to 5 bits, unpacked tile by tile on the stack for the arithmetic of int8 weights.

   Eight codes of b bits take b bytes: code i lies in bits b*i .. b*i + b - 1 of their little-endian integer, as
   code + 2^(b-1); one bit is set for 1 and clear for -1. Rows end with their last group of eight, and have the upper one
   of 3 or 5 bits behind the others of the whole row. Where weights are sums of b planes a row begins with its channel's
   2^b codes, of which each group of bits, as it is, says the number. Codes of three values may take four bytes for twenty.
   `bits` is constant wherever these functions are inlined. */
#ifndef QIR_PACKED_H
#define QIR_PACKED_H

#include "qir_dot.h"
#include "qir_vector.h"

/* Codes of a row of weights that are unpacked at once, whole groups of 8 and 20: three by three taps of 128 channels fit, or
   what small stacks bear. */
#if UINTPTR_MAX > 0xffffffffu
#define QIR_TILE_DEPTH 1160
#else
#define QIR_TILE_DEPTH 120
#endif

/* In the place of a number of bits: codes of three values, by twenty. */
#define QIR_TRITS 0

/* Whether codes are unpacked by four: gcc makes no vector code where it optimizes for size. */
#if !QIR_ON_VECTORS || (defined(__OPTIMIZE_SIZE__) && !defined(__clang__))
#define QIR_BY_FOUR 1
#else
#define QIR_BY_FOUR 0
#endif

/* Whether the lowest byte of a word comes first; 0 where compilers do not say so. */
#if defined(__BYTE_ORDER__) && defined(__ORDER_LITTLE_ENDIAN__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define QIR_LOW_FIRST 1
#else
#define QIR_LOW_FIRST 0
#endif

/* Rows of activations that share what is unpacked: as many pairs as `room` codes make up, at most `most` rows, four at
   least. */
static inline int32_t qir_packed_rows(int32_t depth, int32_t most, int32_t room) {
    const int32_t fitting = room / depth / 2 * 2;
    return fitting > most ? most : fitting < 4 ? 4 : fitting;
}

/* Bytes of a row of codes. */
static inline ptrdiff_t qir_packed_bytes(int32_t bits, int32_t count) {
    return (ptrdiff_t)((count + 7) / 8) * bits;
}

/* `count` times 2 * bits in their halves, the lower one first, each times `step` and less `zero`: a loop that compilers
   turn into vector code. */
static QIR_INLINE void qir_halve(const void *QIR_RESTRICT from, int32_t count, int32_t bits, int32_t step, int32_t zero,
                             int8_t *QIR_RESTRICT to) {
    const uint8_t *const w = (const uint8_t *)from;
    int32_t i;
    QIR_BYTE_LOOP
    for (i = 0; i < count; ++i) {
        to[2 * i] = (int8_t)((w[i] & ((1 << bits) - 1)) * step - zero);
        to[2 * i + 1] = (int8_t)((w[i] >> bits) * step - zero);
    }
}

/* The bytes of a word, the lowest first. */
static QIR_INLINE void qir_put_four(uint32_t v, int8_t *QIR_RESTRICT to) {
    int32_t i;
    if (QIR_LOW_FIRST) {
        (void)memcpy(to, &v, 4);
        return;
    }
    for (i = 0; i < 4; ++i) {
        to[i] = (int8_t)(uint8_t)(v >> (8 * i));
    }
}

/* Four codes of 1, 2 or 4 bits at a time: moved apart, one to a byte, where they lose their offset; bit 7,
   set meanwhile, takes the borrow. */
static QIR_INLINE void qir_unpack_four(uint32_t v, int32_t bits, int8_t *QIR_RESTRICT to) {
    const uint32_t offset = bits == 1 ? 1 : (uint32_t)1 << (bits - 1);
    if (bits == 4) {
        v = (v | v << 8) & 0x00ff00ffu;
        v = (v | v << 4) & 0x0f0f0f0fu;
    } else if (bits == 2) {
        v = (v | v << 12) & 0x000f000fu;
        v = (v | v << 6) & 0x03030303u;
    } else {
        v = (v | v << 14) & 0x00030003u;
        v = ((v | v << 7) & 0x01010101u) << 1;
    }
    v = ((v | 0x80808080u) - offset * 0x01010101u) ^ 0x80808080u;
    qir_put_four(v, to);
}

/* The codes of 1 or 2 bits in sixteen bytes, by way of halves of four bits, and of two: loops of constant lengths, whole
   vectors. */
static QIR_INLINE void qir_unpack_sixteen(const uint8_t *QIR_RESTRICT w, int32_t bits, int8_t *QIR_RESTRICT to) {
    int8_t fours[32], twos[64];
    qir_halve(w, 16, 4, 1, 0, fours);
    if (bits == 2) {
        qir_halve(fours, 32, 2, 1, 2, to);
    } else {
        qir_halve(fours, 32, 2, 1, 0, twos);
        qir_halve(twos, 64, 1, 2, 1, to);
    }
}

/* `groups` times eight codes of 1, 2 or 4 bits, four at a time. */
static QIR_INLINE void qir_unpack_by_four(const uint8_t *QIR_RESTRICT w, int32_t bits, int32_t groups,
                                          int8_t *QIR_RESTRICT to) {
    for (; groups > 0; --groups, w += bits, to += 8) {
        const uint32_t more = bits == 4 ? (uint32_t)w[1] << 8 : 0, last = bits == 4 ? (uint32_t)w[3] << 8 : 0;
        qir_unpack_four(bits == 1 ? w[0] & 15u : w[0] | more, bits, to);
        qir_unpack_four(bits == 1 ? w[0] >> 4 : w[bits / 2] | last, bits, to + 4);
    }
}

/* `groups` times eight codes. */
static QIR_INLINE void qir_unpack(const uint8_t *QIR_RESTRICT w, int32_t bits, int32_t groups,
                                  int8_t *QIR_RESTRICT to) {
    int32_t group, i;
    if (QIR_BY_FOUR && (bits == 4 || bits <= 2)) {
        qir_unpack_by_four(w, bits, groups, to);
    } else if (bits == 4) {
        qir_halve(w, 4 * groups, 4, 1, 8, to);
    } else if (bits <= 2) {
        const int32_t together = 16 / bits;
        for (group = 0; group + together <= groups; group += together) {
            qir_unpack_sixteen(w + bits * group, bits, to + 8 * group);
        }
        if (groups - group > 4) {
            uint8_t rest[16] = {0};
            int8_t codes[128];
            (void)memcpy(rest, w + bits * group, (size_t)(bits * (groups - group)));
            qir_unpack_sixteen(rest, bits, codes);
            (void)memcpy(to + 8 * group, codes, (size_t)(8 * (groups - group)));
        } else {
            qir_unpack_by_four(w + bits * group, bits, groups - group, to + 8 * group);
        }
    } else if (bits == 5) {
        for (group = 0; group < groups; ++group, w += 5, to += 8) {
            uint64_t word = 0;
            for (i = 0; i < 5; ++i) {
                word |= (uint64_t)w[i] << (8 * i);
            }
            for (i = 0; i < 8; ++i) {
                to[i] = (int8_t)((int32_t)(word >> (5 * i) & 31u) - 16);
            }
        }
    } else {
        for (group = 0; group < groups; ++group, w += 3, to += 8) {
            uint64_t word = (uint64_t)w[0] | (uint64_t)w[1] << 8 | (uint64_t)w[2] << 16;
            word = (word | word << 20) & UINT64_C(0x00000fff00000fff); /* halves of the word apart, then their halves: */
            word = (word | word << 10) & UINT64_C(0x003f003f003f003f);
            word = (word | word << 5) & UINT64_C(0x0707070707070707);  /* a code in each byte */
            word = ((word | UINT64_C(0x8080808080808080)) - UINT64_C(0x0404040404040404)) ^ UINT64_C(0x8080808080808080);
            for (i = 0; i < 8; ++i) {
                to[i] = (int8_t)(uint8_t)(word >> (8 * i)); /* less 4: bit 7, set meanwhile, takes the borrow */
            }
        }
    }
}

/* `groups` times twenty codes of three values, which take four bytes: byte i holds codes i, i + 4, .. as digits of base 3, a
   fraction of 256. Three times it is the first digit plus one, times 256, and the fraction of the others. Bytes go by twos
   in the halves of a word, and four digits make a word again, less 1 as in qir_unpack_four. */
static QIR_INLINE void qir_unpack_trits(const uint8_t *QIR_RESTRICT w, int32_t groups, int8_t *QIR_RESTRICT to) {
    int32_t group, digit;
    for (group = 0; group < groups; ++group, w += 4) {
        uint32_t even = w[0] | (uint32_t)w[2] << 16, odd = w[1] | (uint32_t)w[3] << 16;
        for (digit = 0; digit < 5; ++digit, to += 4) {
            uint32_t v;
            even *= 3;
            odd *= 3;
            v = (even >> 8 & 0x00030003u) | (odd & 0x03000300u);
            v = ((v | 0x80808080u) - 0x01010101u) ^ 0x80808080u;
            even &= 0x00ff00ffu;
            odd &= 0x00ff00ffu;
            qir_put_four(v, to);
        }
    }
}

/* Sums of planes from 32 codes of b bits that say which, as qir_look_up has them: the first code, and what each bit adds to
   it, or takes off where it is clear: twice a number, so that 1 hides none of it. */
static QIR_INLINE void qir_look_up_lanes(const uint8_t *QIR_RESTRICT row, int32_t bits,
                                         const int8_t *QIR_RESTRICT upper, int8_t *QIR_RESTRICT codes) {
    const uint8_t first = row[0], second = (uint8_t)(row[1] - first), third = (uint8_t)(row[2] - first);
    const uint8_t fourth = (uint8_t)(bits > 2 ? row[4] - first : 0), fifth = (uint8_t)(bits > 3 ? row[8] - first : 0);
    const uint8_t most = (uint8_t)(first + third + fourth);
    int32_t i;
    QIR_BYTE_LOOP
    for (i = 0; i < 32; ++i) {
        if (bits < 4) {
            const uint8_t odd = (uint8_t)-(codes[i] & 1), below = (uint8_t)-(codes[i] < 0);
            const uint8_t sum = (uint8_t)(most + (odd & second) - (below & third));
            codes[i] = (int8_t)(uint8_t)(sum - (bits == 3 ? fourth & (uint8_t)upper[i] : 0));
        } else {
            const uint8_t number = (uint8_t)(codes[i] + 8);
            uint8_t sum = (uint8_t)(first + (number & 1 ? second : 0));
            sum = (uint8_t)(sum + (number & 2 ? third : 0));
            sum = (uint8_t)(sum + (number & 4 ? fourth : 0));
            codes[i] = (int8_t)(uint8_t)(sum + (number & 8 ? fifth : 0));
        }
    }
}

/* Sums of planes from the codes of b bits that say which: those that a row begins with. `upper`: of three planes the
   last one's bit, as 1 and -1, and the others' number less 2; of others all of their number less 2^(b-1). */
static QIR_INLINE void qir_look_up(const uint8_t *QIR_RESTRICT row, int32_t bits, int32_t count,
                                   const int8_t *QIR_RESTRICT upper, int8_t *QIR_RESTRICT codes) {
    int32_t i;
    if (QIR_BY_FOUR) {
        for (i = 0; i < count; ++i) {
            codes[i] = (int8_t)row[codes[i] + (bits == 3 ? 2 * upper[i] : 0) + (1 << (bits - 1))];
        }
        return;
    }
    for (i = 0; i + 32 <= count; i += 32) {
        qir_look_up_lanes(row, bits, upper + i, codes + i);
    }
    if (i < count) {
        int8_t rest[32] = {0}, more[32] = {0};
        (void)memcpy(rest, codes + i, (size_t)(count - i));
        if (bits == 3) {
            (void)memcpy(more, upper + i, (size_t)(count - i));
        }
        qir_look_up_lanes(row, bits, more, rest);
        (void)memcpy(codes + i, rest, (size_t)(count - i));
    }
}

/* `count` codes of a row of `depth` from `first` on, where a group begins; what its last group has beyond is written, too. `head`:
   bytes that a row of sums of planes begins with, else 0. */
static QIR_INLINE void qir_unpack_row(const uint8_t *QIR_RESTRICT row, int32_t bits, int32_t head, int32_t depth,
                                      int32_t first, int32_t count, int8_t *QIR_RESTRICT to) {
    const int32_t groups = (count + 7) / 8, lower = bits == 3 || bits == 5 ? bits - 1 : bits;
    int8_t upper[QIR_TILE_DEPTH];
    int32_t i;
    if (bits == QIR_TRITS) {
        qir_unpack_trits(row + first / 20 * 4, (count + 19) / 20, to);
        return;
    }
    qir_unpack(row + head + first / 8 * lower, lower, groups, to);
    if (lower < bits) {
        qir_unpack(row + head + qir_packed_bytes(lower, depth) + first / 8, 1, groups, upper);
    }
    if (head) {
        qir_look_up(row, bits, count, upper, to);
    } else if (lower < bits) {
        /* code = lower - 2^(b-1) + 2^(b-1) * upper, of which lower - 2^(b-2) and 2 * upper - 1 are there */
        for (i = 0; i < 8 * groups; ++i) {
            to[i] = (int8_t)(to[i] + upper[i] * (1 << (bits - 2)));
        }
    }
}

/* Four sums, to those that are there but for the first. */
static QIR_INLINE void qir_add_four(const int32_t *sums, int32_t there, int32_t *to) {
    int32_t k;
    for (k = 0; k < 4; ++k) {
        to[k] = there ? to[k] + sums[k] : sums[k];
    }
}

/* As qir_dot_2x4. To clang, on vectors, a function of its own: where sums are added to others it keeps fewer of them in
   registers. */
#if QIR_ON_VECTORS && defined(__clang__)
QIR_ALONE static void
#else
static inline void
#endif
qir_dot_2x4_apart(const int16_t *QIR_RESTRICT x0, const int16_t *QIR_RESTRICT x1, const int8_t *QIR_RESTRICT w,
                  int32_t depth, int32_t *QIR_RESTRICT sums) {
    qir_dot_2x4(x0, x1, w, depth, sums, sums + 4);
}

/* qir_unpack_row for one form of weights. */
typedef void (*qir_unpacking)(const uint8_t *row, int32_t depth, int32_t first, int32_t count, int8_t *to);

/* On vectors functions of their own: beside them products keep less in registers. */
#if QIR_ON_VECTORS
#define QIR_UNPACKING QIR_ALONE static void
#else
#define QIR_UNPACKING static inline void
#endif

/* As qir_dot_rows, for any number of rows of activations; acc holds room for sixteen columns a row. Four rows of weights
   are unpacked at once, QIR_TILE_DEPTH codes of each: where fewer are left a row takes just as many places, and what the
   row before it unpacked too much is overwritten. `head`: bytes that a row begins with. */
static QIR_INLINE void qir_dot_packed(const int16_t *QIR_RESTRICT x, int32_t rows, const uint8_t *QIR_RESTRICT w,
                                      qir_unpacking unpack, int32_t bits, int32_t head, int32_t depth, int32_t count,
                                      int32_t *QIR_RESTRICT acc) {
    const ptrdiff_t line = head + (bits == QIR_TRITS ? (depth + 19) / 20 * 4 : qir_packed_bytes(bits, depth));
    const int joined = (bits == QIR_TRITS ? depth % 20 : depth % 8) == 0 && !head && bits != 3 && bits != 5 &&
                       depth <= QIR_TILE_DEPTH; /* rows of weights follow each other without a gap */
    int8_t tile[4 * QIR_TILE_DEPTH + 20];
    int32_t first, i, j;
    for (j = 0; j < count; j += 4, w += 4 * line) {
        const int32_t lines = count - j < 4 ? count - j : 4, together = joined ? lines : 1;
        for (first = 0; first < depth; first += QIR_TILE_DEPTH) {
            const int32_t part = depth - first < QIR_TILE_DEPTH ? depth - first : QIR_TILE_DEPTH;
            if (lines < 4) {
                (void)memset(tile, 0, sizeof tile);
            }
            for (i = 0; i < lines; i += together) {
                unpack(w + i * line, depth, first, together * part, tile + i * part);
            }
            for (i = 0; i < rows; i += 2) {
                const int16_t *const from = x + (ptrdiff_t)i * depth + first;
                int32_t *const to = acc + i * 16 + j;
                const int alone = rows - i == 1;
                int32_t sums[8];
                if (QIR_ON_VECTORS && !first && !alone) { /* compilers keep more in registers where nothing is added */
                    qir_dot_2x4(from, from + depth, tile, part, to, to + 16);
                    continue;
                }
                if (alone) {
                    qir_dot_1x4(from, tile, part, sums);
                } else {
                    qir_dot_2x4_apart(from, from + depth, tile, part, sums);
                    qir_add_four(sums + 4, first, to + 16);
                }
                qir_add_four(sums, first, to);
            }
        }
    }
}

/* For each width: the bytes of a row, products of rows, the weights of the sixteen channels from `first` on of a depthwise
   kernel, as int8 [taps][16], and eight codes. */
#define QIR_PACKED(b)                                                                                                \
    static inline ptrdiff_t qir_line_s##b(int32_t depth) {                                                           \
        return qir_packed_bytes(b, depth);                                                                           \
    }                                                                                                                \
    QIR_UNPACKING qir_unpack_s##b(const uint8_t *row, int32_t depth, int32_t first, int32_t count, int8_t *to) {         \
        qir_unpack_row(row, b, 0, depth, first, count, to);                                                          \
    }                                                                                                                \
    static inline void qir_dot_rows_s##b(const int16_t *x, int32_t rows, const uint8_t *w, int32_t depth,            \
                                         int32_t count, int32_t *acc) {                                              \
        qir_dot_packed(x, rows, w, qir_unpack_s##b, b, 0, depth, count, acc);                                                         \
    }                                                                                                                \
    static inline const int8_t *qir_taps_s##b(const uint8_t *w, int32_t taps, int32_t first, int8_t *tile) {         \
        qir_unpack(w + (ptrdiff_t)(first / 16) * taps * 2 * b, b, taps * 2, tile);                                   \
        return tile;                                                                                                 \
    }                                                                                                                \
    static inline const int8_t *qir_eight_s##b(const uint8_t *w, int8_t *room) {                                     \
        qir_unpack_row(w, b, 0, 8, 0, 8, room);                                                                      \
        return room;                                                                                                 \
    }

QIR_PACKED(1)
QIR_PACKED(2)
QIR_PACKED(3)
QIR_PACKED(4)
QIR_PACKED(5)

/* For codes of three values, and each number of planes, likewise. */
static inline ptrdiff_t qir_line_t2(int32_t depth) {
    return (depth + 19) / 20 * 4;
}

QIR_UNPACKING qir_unpack_t2(const uint8_t *row, int32_t depth, int32_t first, int32_t count, int8_t *to) {
    qir_unpack_row(row, QIR_TRITS, 0, depth, first, count, to);
}

static inline void qir_dot_rows_t2(const int16_t *x, int32_t rows, const uint8_t *w, int32_t depth, int32_t count,
                                   int32_t *acc) {
    qir_dot_packed(x, rows, w, qir_unpack_t2, QIR_TRITS, 0, depth, count, acc);
}

#define QIR_PLANES(b)                                                                                                \
    static inline ptrdiff_t qir_line_p##b(int32_t depth) {                                                           \
        return (1 << b) + qir_packed_bytes(b, depth);                                                                \
    }                                                                                                                \
    QIR_UNPACKING qir_unpack_p##b(const uint8_t *row, int32_t depth, int32_t first, int32_t count, int8_t *to) {         \
        qir_unpack_row(row, b, 1 << b, depth, first, count, to);                                                     \
    }                                                                                                                \
    static inline void qir_dot_rows_p##b(const int16_t *x, int32_t rows, const uint8_t *w, int32_t depth,            \
                                         int32_t count, int32_t *acc) {                                              \
        qir_dot_packed(x, rows, w, qir_unpack_p##b, b, 1 << b, depth, count, acc);                                                    \
    }

QIR_PLANES(2)
QIR_PLANES(3)
QIR_PLANES(4)

#endif
