#include "../../runtime/qir_neon.h"
#include "pack_bits.h"

/* A bit of each of 16 numbers: each byte keeps its own, neighbours are added three times. */
static QIR_INLINE uint16_t qir_pack_bits_u8_group(const uint8_t *x, uint8x16_t low, uint8x16_t bit) {
    const uint8x8_t own = vcreate_u8(UINT64_C(0x8040201008040201));
    const uint8x16_t set = vtstq_u8(vsubq_u8(vld1q_u8(x), low), bit), bits = vandq_u8(set, vcombine_u8(own, own));
    uint8x8_t sum = vpadd_u8(vget_low_u8(bits), vget_high_u8(bits));
    sum = vpadd_u8(sum, sum);
    return vget_lane_u16(vreinterpret_u16_u8(vpadd_u8(sum, sum)), 0);
}

/* Alone, since clang would unroll all of it for the constants of each caller. */
QIR_ALONE
void qir_pack_bits_u8__neon(const qir_pack_bits_shape *s, const uint8_t *QIR_RESTRICT x, uint8_t *QIR_RESTRICT y) {
    const uint8x16_t low = vdupq_n_u8((uint8_t)s->low);
    int32_t pixel, plane, i;
    for (pixel = 0; pixel < s->pixels; ++pixel, x += s->channels) {
        for (plane = 0; plane < s->bits; ++plane) {
            const uint8x16_t bit = vdupq_n_u8((uint8_t)(1 << plane << (s->step == 2)));
            for (i = 0; i + 16 <= s->channels; i += 16, y += 2) {
                const uint16_t bits = qir_pack_bits_u8_group(x + i, low, bit);
                memcpy(y, &bits, 2);
            }
            if (i < s->channels) {
                const int32_t count = s->channels - i;
                uint8_t part[16];
                uint16_t bits;
                memset(part, s->low, 16); /* beyond the last channel numbers are 0 */
                memcpy(part, x + i, (size_t)count);
                bits = qir_pack_bits_u8_group(part, low, bit);
                memcpy(y, &bits, (size_t)(count + 7) / 8);
                y += (count + 7) / 8;
            }
        }
    }
}
