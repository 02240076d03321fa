#include "../../runtime/qir_neon.h"
#include "layernorm_u8.h"

/* template: begin */
#define QIR_X uint8_t
/* template: end */

typedef struct {
    int16x4_t size;
    int32x4_t less; /* the sum, to be taken off */
    float32x4_t factor;
    qir_requant4 q;
} qir_layernorm_u8_u8_neon_row;

/* Eight codes in lanes of 16 bits: bytes are unsigned, longer ones signed. */
static QIR_INLINE int16x8_t qir_layernorm_u8_u8_neon_codes(const void *x) {
    return sizeof(QIR_X) == 1 ? vreinterpretq_s16_u16(vmovl_u8(vld1_u8((const uint8_t *)x)))
                              : vld1q_s16((const int16_t *)x);
}

/* Four results as reals. The product is kept apart from the sum, lest a compiler fuse them. */
static QIR_INLINE float32x4_t qir_layernorm_u8_u8_neon_four(const qir_layernorm_u8_u8_neon_row *r, int16x4_t codes,
                                                            const float *scale, const float *bias) {
    const float32x4_t real = vmulq_f32(vcvtq_f32_s32(vmlal_s16(r->less, codes, r->size)), r->factor);
    float32x4_t product = vmulq_f32(real, vld1q_f32(scale));
    QIR_KEEP_PRODUCT(product);
    return vaddq_f32(product, vld1q_f32(bias));
}

static QIR_INLINE void qir_layernorm_u8_u8_neon_block(const qir_layernorm_u8_u8_neon_row *r, const QIR_X *x,
                                                      const float *scale, const float *bias, uint8_t *y) {
    const int16x8_t low = qir_layernorm_u8_u8_neon_codes(x), high = qir_layernorm_u8_u8_neon_codes(x + 8);
    const float32x4_t v[4] = {qir_layernorm_u8_u8_neon_four(r, vget_low_s16(low), scale, bias),
                              qir_layernorm_u8_u8_neon_four(r, vget_high_s16(low), scale + 4, bias + 4),
                              qir_layernorm_u8_u8_neon_four(r, vget_low_s16(high), scale + 8, bias + 8),
                              qir_layernorm_u8_u8_neon_four(r, vget_high_s16(high), scale + 12, bias + 12)};
    qir_neon_reals16_u8(v, r->q, y);
}

/* Sums of codes and of their squares. A lane of sums grows by at most 2^16 with every eight codes, of which a row has
   less than 2^12 times as many; squares, at most 2^30, are added by twos to 64 bits. */
typedef struct {
    int32x4_t codes;
    int64x2_t squares;
} qir_layernorm_u8_u8_neon_sums;

static QIR_INLINE void qir_layernorm_u8_u8_neon_add(qir_layernorm_u8_u8_neon_sums *sums, const QIR_X *x) {
    const int16x8_t codes = qir_layernorm_u8_u8_neon_codes(x);
    sums->codes = vpadalq_s16(sums->codes, codes);
    sums->squares = vpadalq_s32(sums->squares, vmull_s16(vget_low_s16(codes), vget_low_s16(codes)));
    sums->squares = vpadalq_s32(sums->squares, vmull_s16(vget_high_s16(codes), vget_high_s16(codes)));
}

/* Those of one row. */
static QIR_INLINE int32_t qir_layernorm_u8_u8_neon_row_sums(const QIR_X *x, int32_t size, int64_t *squares) {
    qir_layernorm_u8_u8_neon_sums sums = {vdupq_n_s32(0), vdupq_n_s64(0)};
    int32_t i;
    for (i = 0; i + 16 <= size; i += 16) {
        qir_layernorm_u8_u8_neon_add(&sums, x + i);
        qir_layernorm_u8_u8_neon_add(&sums, x + i + 8);
    }
    if (i < size) {
        QIR_X room[16] = {0};
        memcpy(room, x + i, (size_t)(size - i) * sizeof(QIR_X));
        qir_layernorm_u8_u8_neon_add(&sums, room);
        qir_layernorm_u8_u8_neon_add(&sums, room + 8);
    }
    *squares = vgetq_lane_s64(sums.squares, 0) + vgetq_lane_s64(sums.squares, 1);
    return vgetq_lane_s32(sums.codes, 0) + vgetq_lane_s32(sums.codes, 1) + vgetq_lane_s32(sums.codes, 2) +
           vgetq_lane_s32(sums.codes, 3);
}

/* y may be x where codes have 8 bits: a row is read before it is written. */
void qir_layernorm_u8_u8__neon(const qir_layernorm_u8_shape *s, const float *scale, const float *bias, const QIR_X *x,
                               uint8_t *y) {
    const int32_t size = s->size;
    qir_layernorm_u8_u8_neon_row r;
    int32_t row, i;
    r.size = vdup_n_s16((int16_t)size);
    r.q = qir_widen_requant4(&s->requant);
    for (row = 0; row < s->rows; ++row, x += size, y += size) {
        int64_t squares;
        const int32_t sum = qir_layernorm_u8_u8_neon_row_sums(x, size, &squares);
        r.less = vdupq_n_s32(-sum);
        r.factor = vdupq_n_f32(qir_layernorm_u8_factor(s, sum, squares));
        for (i = 0; i + 16 <= size; i += 16) {
            qir_layernorm_u8_u8_neon_block(&r, x + i, scale + i, bias + i, y + i);
        }
        if (i < size) {
            const size_t left = (size_t)(size - i);
            QIR_X codes[16] = {0};
            uint8_t found[16];
            float scales[16] = {0}, biases[16] = {0};
            memcpy(codes, x + i, left * sizeof(QIR_X));
            memcpy(scales, scale + i, left * sizeof(float));
            memcpy(biases, bias + i, left * sizeof(float));
            qir_layernorm_u8_u8_neon_block(&r, codes, scales, biases, found);
            memcpy(y + i, found, left);
        }
    }
}
