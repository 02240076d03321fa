#include "../../runtime/qir_neon.h"
#include "softmax_u8.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_neon_store16_u8
/* template: end */

static QIR_INLINE uint8_t qir_softmax_u8_T_asimd_most(const uint8_t *x, int32_t size) {
    uint8x16_t most = vdupq_n_u8(0);
    uint8_t found = 0;
    int32_t i;
    for (i = 0; i + 16 <= size; i += 16) {
        most = vmaxq_u8(most, vld1q_u8(x + i));
    }
    for (; i < size; ++i) {
        found = x[i] > found ? x[i] : found;
    }
    i = vmaxvq_u8(most);
    return i > found ? (uint8_t)i : found;
}

/* Sixteen entries, one by one: there is no load of scattered ones. */
#define QIR_ENTRY(i) room[i] = table[vgetq_lane_u8(below, i)];
static QIR_INLINE void qir_softmax_u8_T_asimd_sixteen(const int32_t *table, uint8x16_t below, int32x4_t entries[4]) {
    int32_t room[16];
    QIR_EACH_8(QIR_ENTRY)
    QIR_ENTRY(8) QIR_ENTRY(9) QIR_ENTRY(10) QIR_ENTRY(11) QIR_ENTRY(12) QIR_ENTRY(13) QIR_ENTRY(14) QIR_ENTRY(15)
    entries[0] = vld1q_s32(room);
    entries[1] = vld1q_s32(room + 4);
    entries[2] = vld1q_s32(room + 8);
    entries[3] = vld1q_s32(room + 12);
}
#undef QIR_ENTRY

static QIR_INLINE int64_t qir_softmax_u8_T_asimd_sum(const int32_t *table, uint8_t most, const uint8_t *x,
                                                     int32_t size) {
    const uint8x16_t top = vdupq_n_u8(most);
    int64x2_t sums = vdupq_n_s64(0);
    int64_t sum = 0;
    int32_t i;
    for (i = 0; i + 16 <= size; i += 16) {
        int32x4_t e[4];
        qir_softmax_u8_T_asimd_sixteen(table, vsubq_u8(top, vld1q_u8(x + i)), e);
        sums = vpadalq_s32(sums, vaddq_s32(vaddq_s32(e[0], e[1]), vaddq_s32(e[2], e[3])));
    }
    for (; i < size; ++i) {
        sum += table[most - x[i]];
    }
    return sum + vaddvq_s64(sums);
}

/* y may share the bytes of x. What is left of a row goes through room of its own, filled with its largest code. */
void qir_softmax_u8_T__asimd(const qir_softmax_u8_shape *s, const int32_t *table, const uint8_t *x, QIR_Y *y) {
    const qir_requant4 q = qir_widen_requant4(&s->requant);
    const int32_t size = s->size;
    int32_t row, i;
    for (row = 0; row < s->rows; ++row, x += size, y += size) {
        const uint8_t most = qir_softmax_u8_T_asimd_most(x, size);
        const float multiplier = s->multiplier / (float)qir_softmax_u8_T_asimd_sum(table, most, x, size);
        const float32x4_t each = vdupq_n_f32(multiplier), scale[4] = {each, each, each, each};
        for (i = 0; i < size; i += 16) {
            const int32_t count = size - i < 16 ? size - i : 16;
            int32x4_t entries[4];
            uint8_t room[16];
            QIR_Y found[16];
            if (count < 16) {
                memset(room, most, sizeof room);
                memcpy(room, x + i, (size_t)count);
            }
            qir_softmax_u8_T_asimd_sixteen(table, vsubq_u8(vdupq_n_u8(most), vld1q_u8(count < 16 ? room : x + i)),
                                           entries);
            QIR_STORE16(entries, scale, q, count < 16 ? found : y + i);
            if (count < 16) {
                memcpy(y + i, found, (size_t)count * sizeof(QIR_Y));
            }
        }
    }
}
