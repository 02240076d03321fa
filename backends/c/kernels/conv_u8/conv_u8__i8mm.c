#include "../../runtime/qir_neon.h"
#include "conv_u8_blocks.h"

#if !defined(__ARM_FEATURE_MATMUL_INT8)
#error "these kernels need products of matrices of bytes: build with -march=armv8.2-a+dotprod+i8mm"
#endif

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_neon_store16_u8
#define QIR_PART16 qir_part16_u8
/* template: end */

/* Tiles of one to three pairs of output pixels by a panel of sixteen channels: usmmla adds to two by two sums the products
   of eight codes of two pixels with eight weights of two channels, unsigned by signed, exactly. So codes are copied in
   pairs. Of a last pixel that has no fellow, the fellow's sums are those of bytes that happen to lie there; nobody stores
   them. */
#if defined(__GNUC__) && !defined(__clang__)
#define QIR_MATRIX(sum, codes, weights) __asm__("usmmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(codes), "w"(weights))
#else
#define QIR_MATRIX(sum, codes, weights) ((sum) = vusmmlaq_s32(sum, codes, weights))
#endif
#define QIR_TWICE(at) vcombine_s32(vld1_s32(t->bias + at), vld1_s32(t->bias + at))
#define QIR_BEGIN(i)                                                                                          \
    int32x4_t a##i = QIR_TWICE(0), b##i = QIR_TWICE(2), c##i = QIR_TWICE(4), d##i = QIR_TWICE(6);             \
    int32x4_t e##i = QIR_TWICE(8), f##i = QIR_TWICE(10), g##i = QIR_TWICE(12), h##i = QIR_TWICE(14);
#define QIR_FROM(i) const uint8_t *x##i = (const uint8_t *)*segment + 2 * (from + 2 * i * stride);
#define QIR_CODES(i) const uint8x16_t codes##i = vld1q_u8(x##i);
#define QIR_NEXT(i) x##i += 16;
#define QIR_AB(i) QIR_MATRIX(a##i, codes##i, w0); QIR_MATRIX(b##i, codes##i, w1);
#define QIR_CD(i) QIR_MATRIX(c##i, codes##i, w2); QIR_MATRIX(d##i, codes##i, w3);
#define QIR_EF(i) QIR_MATRIX(e##i, codes##i, w4); QIR_MATRIX(f##i, codes##i, w5);
#define QIR_GH(i) QIR_MATRIX(g##i, codes##i, w6); QIR_MATRIX(h##i, codes##i, w7);
#define QIR_STEP(n)                                                                        \
    {                                                                                      \
        QIR_EACH_##n(QIR_CODES) const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16);   \
        QIR_EACH_##n(QIR_AB) const int8x16_t w2 = vld1q_s8(w + 32), w3 = vld1q_s8(w + 48); \
        QIR_EACH_##n(QIR_CD) const int8x16_t w4 = vld1q_s8(w + 64), w5 = vld1q_s8(w + 80); \
        QIR_EACH_##n(QIR_EF) const int8x16_t w6 = vld1q_s8(w + 96), w7 = vld1q_s8(w + 112); \
        QIR_EACH_##n(QIR_GH) QIR_EACH_##n(QIR_NEXT) w += 128;                                   \
    }
#define QIR_JOIN(half, left, right) vcombine_s32(vget_##half##_s32(left), vget_##half##_s32(right))
#define QIR_ROW(half, i, pixel)                                                               \
    if (pixel < t->pixels) {                                                                  \
        const int32x4_t sums[4] = {QIR_JOIN(half, a##i, b##i), QIR_JOIN(half, c##i, d##i),    \
                                   QIR_JOIN(half, e##i, f##i), QIR_JOIN(half, g##i, h##i)};   \
        QIR_STORE16(sums, scale, q, to + (pixel) * step);                                     \
    }
#define QIR_END(i) QIR_ROW(low, i, 2 * i) QIR_ROW(high, i, 2 * i + 1)

#define QIR_TILE(n)                                                                                                   \
    QIR_IN_ORDER static void qir_conv_u8s8_T_i8mm_##n(const qir_conv_u8_tile *t, ptrdiff_t from, void *y) {           \
        const ptrdiff_t stride = t->stride;\
        const void *const *segment = t->segment;                                                                      \
        const int8_t *w = t->weights;                                                                                 \
        const int32_t whole = t->channels >= 16;                                                                      \
        QIR_Y part[2 * n * 16];                                                                                       \
        QIR_Y *const to = whole ? (QIR_Y *)y : part;                                                                  \
        const ptrdiff_t step = whole ? t->step : 16;                                                                  \
        int32_t segments = t->segments;                                                                               \
        QIR_EACH_##n(QIR_BEGIN) do {                                                                                  \
            int32_t twos = t->steps / 2;                                                                              \
            QIR_EACH_##n(QIR_FROM) for (; twos; --twos) {                                                             \
                QIR_STEP(n) QIR_STEP(n)                                                                               \
            }                                                                                                         \
            if (t->steps % 2) {                                                                                       \
                QIR_STEP(n)                                                                                           \
            }                                                                                                         \
            ++segment;                                                                                                \
        } while (--segments);                                                                                         \
        {                                                                                                             \
            const qir_requant4 q = qir_widen_requant4(t->requant);                                                    \
            const float32x4_t scale[4] = {vld1q_f32(t->multiplier), vld1q_f32(t->multiplier + 4),                     \
                                          vld1q_f32(t->multiplier + 8), vld1q_f32(t->multiplier + 12)};               \
            QIR_EACH_##n(QIR_END)                                                                                     \
        }                                                                                                             \
        if (!whole) {                                                                                                 \
            QIR_PART16(part, t->pixels, t->channels, (QIR_Y *)y, t->step);                                            \
        }                                                                                                             \
    }
QIR_TILE(1) QIR_TILE(2) QIR_TILE(3)
#undef QIR_MATRIX
#undef QIR_TWICE
#undef QIR_BEGIN
#undef QIR_FROM
#undef QIR_CODES
#undef QIR_NEXT
#undef QIR_AB
#undef QIR_CD
#undef QIR_EF
#undef QIR_GH
#undef QIR_STEP
#undef QIR_JOIN
#undef QIR_ROW
#undef QIR_END
#undef QIR_TILE

void qir_conv_u8s8_T__i8mm(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b, const uint8_t *QIR_RESTRICT x,
                           const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                           const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    static qir_conv_u8_tile_function *const tile[] = {qir_conv_u8s8_T_i8mm_1, qir_conv_u8s8_T_i8mm_2,
                                                      qir_conv_u8s8_T_i8mm_3};
    const qir_conv_u8_tiles tiles = {tile, sizeof tile / sizeof *tile, 2, QIR_CONV_U8_PAIRS, 128, sizeof(QIR_Y)};
    qir_conv_u8_by_panels(s, b, &tiles, x, w, bias, multiplier, scratch, y);
}
