#include "../../runtime/qir_neon.h"
#include "lookup_u8.h"

#if defined(__aarch64__)
/* Sixteen results. vqtbx4q_u8 looks bytes up in 64 entries and leaves what was there where the index is beyond them.
   For part t of the table the index is x - 64 t, which has wrapped around to beyond 64 where x is less: so exactly one
   part gives each result. */
static QIR_INLINE void qir_lookup_u8_u8_neon_block(const uint8x16x4_t part[4], const uint8_t *x, uint8_t *y) {
    const uint8x16_t step = vdupq_n_u8(64);
    uint8x16_t codes = vld1q_u8(x), found = vqtbl4q_u8(part[0], codes);
    codes = vsubq_u8(codes, step);
    found = vqtbx4q_u8(found, part[1], codes);
    codes = vsubq_u8(codes, step);
    found = vqtbx4q_u8(found, part[2], codes);
    vst1q_u8(y, vqtbx4q_u8(found, part[3], vsubq_u8(codes, step)));
}
#endif

/* 32-bit ARM looks up in 32 entries at most: going through eight parts takes longer than loads do. */
void qir_lookup_u8_u8__neon(size_t count, const uint8_t *x, const uint8_t *table, uint8_t *y) {
    size_t i = 0;
#if defined(__aarch64__)
    const uint8x16x4_t part[4] = {vld1q_u8_x4(table), vld1q_u8_x4(table + 64), vld1q_u8_x4(table + 128),
                                  vld1q_u8_x4(table + 192)};
    for (; i + 16 <= count; i += 16) {
        qir_lookup_u8_u8_neon_block(part, x + i, y + i);
    }
#endif
    for (; i < count; ++i) {
        y[i] = table[x[i]];
    }
}
