#include "../../runtime/qir_neon.h"
#include "conv_u8_blocks.h"

#if !defined(__ARM_FEATURE_DOTPROD)
#error "these kernels need dot products: build with -march=armv8.2-a+dotprod"
#endif

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_neon_store16_u8
#define QIR_PART16 qir_part16_u8
/* template: end */

/* Tiles of one to six output pixels by a panel of sixteen channels: sdot adds to each of four sums the products of four
   codes with the weights of its channel, exactly. Both are signed: codes are copied less 128, and the bias makes up for
   that. Twenty-four sums and the codes of six pixels, sixteen of each, leave two of the 32 registers to weights. */
#if defined(__GNUC__) && !defined(__clang__)
#define QIR_DOT(sum, codes, weights)                                                                        \
    __asm__("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(sum) : "w"(weights), "w"(codes), "i"(lane))
#else
#define QIR_DOT(sum, codes, weights) ((sum) = vdotq_laneq_s32(sum, weights, codes, lane))
#endif
#define QIR_BEGIN(i) int32x4_t a##i = vld1q_s32(t->bias), b##i = vld1q_s32(t->bias + 4), \
                               c##i = vld1q_s32(t->bias + 8), d##i = vld1q_s32(t->bias + 12);
#define QIR_FROM(i) const int8_t *x##i = (const int8_t *)*segment + (from + i * stride);
#define QIR_SIXTEEN(i) const int8x16_t codes##i = vld1q_s8(x##i); x##i += 16;
#define QIR_FOUR(i) const int8x16_t codes##i = vreinterpretq_s8_s32(vdupq_n_s32(qir_four_bytes(x##i))); x##i += 4;
#define QIR_A(i) QIR_DOT(a##i, codes##i, w0);
#define QIR_B(i) QIR_DOT(b##i, codes##i, w1);
#define QIR_C(i) QIR_DOT(c##i, codes##i, w2);
#define QIR_D(i) QIR_DOT(d##i, codes##i, w3);
#define QIR_STEP(n, k)                                               \
    {                                                                \
        enum { lane = k };                                           \
        const int8x16_t w0 = vld1q_s8(w), w1 = vld1q_s8(w + 16);           \
        QIR_EACH_##n(QIR_A) QIR_EACH_##n(QIR_B)                      \
        const int8x16_t w2 = vld1q_s8(w + 32), w3 = vld1q_s8(w + 48);              \
        QIR_EACH_##n(QIR_C) QIR_EACH_##n(QIR_D) w += 64;             \
    }
#define QIR_END(i)                                                              \
    {                                                                           \
        const int32x4_t sums[4] = {a##i, b##i, c##i, d##i};                     \
        QIR_STORE16(sums, scale, q, to + i * step);                             \
    }

#define QIR_TILE(n)                                                                                                   \
    QIR_IN_ORDER static void qir_conv_u8s8_T_dotprod_##n(const qir_conv_u8_tile *t, ptrdiff_t from, void *y) {        \
        const ptrdiff_t stride = t->stride;                                                                     \
        const void *const *segment = t->segment;                                                                      \
        const int8_t *w = t->weights;                                                                                 \
        const int32_t whole = t->channels >= 16;                                                                      \
        QIR_Y part[n * 16];                                                                                           \
        QIR_Y *const to = whole ? (QIR_Y *)y : part;                                                                  \
        const ptrdiff_t step = whole ? t->step : 16;                                                                  \
        int32_t segments = t->segments;                                                                               \
        QIR_EACH_##n(QIR_BEGIN) do {                                                                                  \
            int32_t left;                                                                                             \
            QIR_EACH_##n(QIR_FROM) for (left = t->steps / 4; left; --left) {                                          \
                QIR_EACH_##n(QIR_SIXTEEN) QIR_STEP(n, 0) QIR_STEP(n, 1) QIR_STEP(n, 2) QIR_STEP(n, 3)                 \
            }                                                                                                         \
            for (left = t->steps % 4; left; --left) {                                                                 \
                QIR_EACH_##n(QIR_FOUR) QIR_STEP(n, 0)                                                                 \
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
            QIR_PART16(part, n, t->channels, (QIR_Y *)y, t->step);                                                    \
        }                                                                                                             \
    }
QIR_TILE(1) QIR_TILE(2) QIR_TILE(3) QIR_TILE(4) QIR_TILE(5) QIR_TILE(6)
#undef QIR_DOT
#undef QIR_BEGIN
#undef QIR_FROM
#undef QIR_SIXTEEN
#undef QIR_FOUR
#undef QIR_A
#undef QIR_B
#undef QIR_C
#undef QIR_D
#undef QIR_STEP
#undef QIR_END
#undef QIR_TILE

void qir_conv_u8s8_T__dotprod(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b, const uint8_t *QIR_RESTRICT x,
                           const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                           const float *QIR_RESTRICT multiplier, void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    static qir_conv_u8_tile_function *const tile[] = {
        qir_conv_u8s8_T_dotprod_1, qir_conv_u8s8_T_dotprod_2, qir_conv_u8s8_T_dotprod_3,
        qir_conv_u8s8_T_dotprod_4, qir_conv_u8s8_T_dotprod_5, qir_conv_u8s8_T_dotprod_6};
    const qir_conv_u8_tiles tiles = {tile, sizeof tile / sizeof *tile, 1, QIR_CONV_U8_SIGNED, 64, sizeof(QIR_Y)};
    qir_conv_u8_by_panels(s, b, &tiles, x, w, bias, multiplier, scratch, y);
}
