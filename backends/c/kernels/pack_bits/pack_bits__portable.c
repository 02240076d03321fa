#include "pack_bits.h"

void qir_pack_bits_u8__portable(const qir_pack_bits_shape *s, const uint8_t *QIR_RESTRICT x,
                                uint8_t *QIR_RESTRICT y) {
    int32_t pixel, plane, first, i;
    for (pixel = 0; pixel < s->pixels; ++pixel, x += s->channels) {
        for (plane = 0; plane < s->bits; ++plane) {
            const int32_t shift = plane + (s->step == 2);
            for (first = 0; first < s->channels; first += 8) {
                const int32_t count = s->channels - first < 8 ? s->channels - first : 8;
                uint32_t byte = 0;
                for (i = 0; i < count; ++i) {
                    byte |= ((uint32_t)(x[first + i] - s->low) >> shift & 1) << i;
                }
                *y++ = (uint8_t)byte;
            }
        }
    }
}
