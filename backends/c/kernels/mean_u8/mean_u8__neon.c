#include "../../runtime/qir_neon.h"
#include "mean_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE8 qir_neon_store8_u8
/* template: end */

/* Eight neighbours and eight that are `apart` from them. At most 257 codes are added up in 16 bits without sign, which
   hold 257 * 255. */
static QIR_INLINE void qir_mean_u8_T_neon_block(const qir_mean_u8_shape *s, const uint8_t *x, int32_t rows,
                                                ptrdiff_t apart, int32x4_t zero, float32x4_t multiplier,
                                                qir_requant4 q, QIR_Y *y) {
    const int32_t count = s->reduced[5];
    const ptrdiff_t step = s->reduced_stride[5];
    uint32x4_t sum0 = vdupq_n_u32(0), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    int32_t row, done, i;
    for (row = 0; row < rows; ++row) {
        const uint8_t *from = x + qir_mean_u8_offset(s->reduced, s->reduced_stride, row);
        for (done = 0; done < count; done += 257) {
            const int32_t some = count - done < 257 ? count - done : 257;
            uint16x8_t first = vdupq_n_u16(0), second = first;
            for (i = 0; i < some; ++i, from += step) {
                first = vaddw_u8(first, vld1_u8(from));
                second = vaddw_u8(second, vld1_u8(from + apart));
            }
            sum0 = vaddw_u16(sum0, vget_low_u16(first));
            sum1 = vaddw_u16(sum1, vget_high_u16(first));
            sum2 = vaddw_u16(sum2, vget_low_u16(second));
            sum3 = vaddw_u16(sum3, vget_high_u16(second));
        }
    }
    QIR_STORE8(vsubq_s32(vreinterpretq_s32_u32(sum0), zero), vsubq_s32(vreinterpretq_s32_u32(sum1), zero), multiplier,
               multiplier, q, y);
    QIR_STORE8(vsubq_s32(vreinterpretq_s32_u32(sum2), zero), vsubq_s32(vreinterpretq_s32_u32(sum3), zero), multiplier,
               multiplier, q, y + apart);
}

/* The innermost kept axis is contiguous and has at least eight elements; the last ones may lap over those before. The
   zero point's part of a sum may wrap around, which the difference, in range, takes back. */
void qir_mean_u8_T__neon(const qir_mean_u8_shape *s, const uint8_t *QIR_RESTRICT x, QIR_Y *QIR_RESTRICT y) {
    const int32_t rows = s->kept[0] * s->kept[1] * s->kept[2] * s->kept[3] * s->kept[4], width = s->kept[5];
    const int32_t outer = s->reduced[0] * s->reduced[1] * s->reduced[2] * s->reduced[3] * s->reduced[4];
    const int32_t apart = width < 16 ? width - 8 : 8, all = 8 + apart;
    const qir_requant4 q = qir_widen_requant4(&s->requant);
    const uint32_t zero = (uint32_t)outer * (uint32_t)s->reduced[5] * (uint32_t)s->x_zero_point;
    const int32x4_t zeros = vreinterpretq_s32_u32(vdupq_n_u32(zero));
    const float32x4_t multiplier = vdupq_n_f32(s->multiplier);
    int32_t row, first;
    for (row = 0; row < rows; ++row, y += width) {
        const uint8_t *const start = x + qir_mean_u8_offset(s->kept, s->kept_stride, row);
        for (first = 0; first < width; first += 16) {
            const int32_t from = first + all <= width ? first : width - all;
            qir_mean_u8_T_neon_block(s, start + from, outer, apart, zeros, multiplier, q, y + from);
        }
    }
}
