/* Weights of float kernels stored as codes: eight channels' at a time become floats, (code - zero_point) * scale, just
   before they are used. */
#ifndef QIR_CODED_H
#define QIR_CODED_H

#include "qir_packed.h"

/* Codes [depth][8] as floats. */
#define QIR_DECODE(name, type)                                                                                       \
    static inline void qir_decode_##name(const type *QIR_RESTRICT w, const float *QIR_RESTRICT scale,                \
                                         const int16_t *QIR_RESTRICT zero_point, int32_t depth,                      \
                                         float *QIR_RESTRICT to) {                                                   \
        int32_t k, j;                                                                                                \
        for (k = 0; k < depth; ++k) {                                                                                \
            for (j = 0; j < 8; ++j) {                                                                                \
                to[8 * k + j] = (float)(w[8 * k + j] - zero_point[j]) * scale[j];                                    \
            }                                                                                                        \
        }                                                                                                            \
    }                                                                                                                \
    static inline const float *qir_floats_##name(const type *w, const float *scale, const int16_t *zero_point,       \
                                                 int32_t channel, int32_t depth, float *room) {                      \
        qir_decode_##name(w, scale + channel, zero_point + channel, depth, room);                                    \
        return room;                                                                                                 \
    }

QIR_DECODE(s8, int8_t)
QIR_DECODE(s16, int16_t)

/* The same from packed codes of b bits (qir_packed.h). */
#define QIR_DECODE_PACKED(b)                                                                                         \
    static inline const float *qir_floats_s##b(const uint8_t *w, const float *scale, const int16_t *zero_point,      \
                                               int32_t channel, int32_t depth, float *room) {                        \
        int32_t k;                                                                                                   \
        for (k = 0; k < depth; k += 16) {                                                                            \
            const int32_t some = depth - k < 16 ? depth - k : 16;                                                    \
            int8_t tile[128];                                                                                        \
            qir_unpack(w + (ptrdiff_t)k * b, b, some, tile);                                                         \
            qir_decode_s8(tile, scale + channel, zero_point + channel, some, room + (ptrdiff_t)8 * k);               \
        }                                                                                                            \
        return room;                                                                                                 \
    }

QIR_DECODE_PACKED(2)
QIR_DECODE_PACKED(3)
QIR_DECODE_PACKED(4)

/* For depthwise kernels the taps of sixteen channels from `first` on, [2][taps][8], from codes [channels / 8][taps][8], of
   which eight take `group` elements. */
#define QIR_DECODE_TAPS(name, type, group)                                                                           \
    static inline const float *qir_tap_floats_##name(const type *w, const float *scale, const int16_t *zero_point,   \
                                                     int32_t first, int32_t taps, float *room) {                     \
        const type *const from = w + (ptrdiff_t)first / 8 * taps * group;                                            \
        qir_floats_##name(from, scale, zero_point, first, taps, room);                                               \
        qir_floats_##name(from + (ptrdiff_t)taps * group, scale, zero_point, first + 8, taps, room + 8 * taps);      \
        return room;                                                                                                 \
    }

QIR_DECODE_TAPS(s2, uint8_t, 2)
QIR_DECODE_TAPS(s3, uint8_t, 3)
QIR_DECODE_TAPS(s4, uint8_t, 4)
QIR_DECODE_TAPS(s8, int8_t, 8)
QIR_DECODE_TAPS(s16, int16_t, 8)

#endif
