/* What Winograd's kernel does on NEON, eight input channels at a time. One to five tiles are multiplied together, two
   with the 16 registers of 32-bit ARM; six would take the registers to which clang loads weights ahead. smlal adds the
   products of four weights with a code, exactly; weights of a step: [channel][16]. As builtin gcc copies sums. */
#ifndef QIR_CONV_U8_WINOGRAD_NEON_H
#define QIR_CONV_U8_WINOGRAD_NEON_H

#include "../../runtime/qir_sum_neon.h"
#include "conv_u8_winograd.h"

static QIR_INLINE int16x8_t qir_winograd_neon_codes(const uint8_t *from) {
    return vreinterpretq_s16_u16(vmovl_u8(vld1_u8(from)));
}

/* Sums modulo 2^32: of signed vectors, which are sums of signed numbers to gcc, they must not wrap around. */
static QIR_INLINE int32x4_t qir_winograd_neon_add(int32x4_t a, int32x4_t b) {
    return vreinterpretq_s32_u32(vaddq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
}

static QIR_INLINE int32x4_t qir_winograd_neon_subtract(int32x4_t a, int32x4_t b) {
    return vreinterpretq_s32_u32(vsubq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
}

/* Four times, and a ninth of what is divisible by nine, modulo 2^16 and 2^32. */
static QIR_INLINE int16x8_t qir_winograd_neon_shorts_4(int16x8_t values) {
    return vshlq_n_s16(values, 2);
}

static QIR_INLINE int32x4_t qir_winograd_neon_vector_4(int32x4_t values) {
    return vshlq_n_s32(values, 2);
}

static QIR_INLINE int32x4_t qir_winograd_neon_ninth(int32x4_t values) {
    return vreinterpretq_s32_u32(vmulq_n_u32(vreinterpretq_u32_s32(values), QIR_WINOGRAD_NINTH));
}

/* Stores two pixels of reals. */
#define QIR_WINOGRAD_NEON_BOTH(reals16, real, q, y0, y1) reals16(real[0], q, y0), reals16(real[1], q, y1)

#if defined(__aarch64__) && defined(__GNUC__) && !defined(__clang__)
#define QIR_ADD_PRODUCTS(part, halves, sum, weights, codes) \
    __asm__(part " %0.4s, %1." halves ", %2.h[%3]" : "+w"(sum) : "w"(weights), "x"(codes), "i"(lane))
#define QIR_ADD_LOW(sum, weights, codes) QIR_ADD_PRODUCTS("smlal", "4h", sum, weights, codes)
#define QIR_ADD_HIGH(sum, weights, codes) QIR_ADD_PRODUCTS("smlal2", "8h", sum, weights, codes)
#elif defined(__aarch64__)
#define QIR_ADD_LOW(sum, weights, codes) ((sum) = vmlal_laneq_s16(sum, vget_low_s16(weights), codes, lane))
#define QIR_ADD_HIGH(sum, weights, codes) ((sum) = vmlal_high_laneq_s16(sum, weights, codes, lane))
#else
#define QIR_ADD_PRODUCTS(half, sum, weights, codes) \
    ((sum) = vmlal_lane_s16(sum, half(weights), lane < 4 ? vget_low_s16(codes) : vget_high_s16(codes), lane % 4))
#define QIR_ADD_LOW(sum, weights, codes) QIR_ADD_PRODUCTS(vget_low_s16, sum, weights, codes)
#define QIR_ADD_HIGH(sum, weights, codes) QIR_ADD_PRODUCTS(vget_high_s16, sum, weights, codes)
#endif
/* Loads of 32-bit ARM advance their pointer but take no offset; those of 64 bits go in pairs, with offsets. */
#if defined(__aarch64__)
#define QIR_NEXT_WEIGHTS w += 8;
#else
#define QIR_NEXT_WEIGHTS QIR_ADVANCE(w, 8);
#endif
#define QIR_BEGIN(i)                      \
    const int16_t *x##i = x + i * stride; \
    int32x4_t a##i = zero, b##i = zero, c##i = zero, d##i = zero;
#define QIR_EIGHT(i) const int16x8_t codes##i = vld1q_s16(x##i); QIR_ADVANCE(x##i, 8);
#define QIR_PRODUCTS(i)               \
    QIR_ADD_LOW(a##i, w0, codes##i);  \
    QIR_ADD_HIGH(b##i, w0, codes##i); \
    QIR_ADD_LOW(c##i, w1, codes##i);  \
    QIR_ADD_HIGH(d##i, w1, codes##i);
#define QIR_CHANNEL(n, number)                              \
    {                                                       \
        enum { lane = number };                             \
        const int16x8_t w0 = vld1q_s16(w); QIR_NEXT_WEIGHTS \
        const int16x8_t w1 = vld1q_s16(w); QIR_NEXT_WEIGHTS \
        QIR_EACH_##n(QIR_PRODUCTS)                          \
    }
#define QIR_END(i)                   \
    vst1q_s32(y + 16 * i, a##i);     \
    vst1q_s32(y + 16 * i + 4, b##i); \
    vst1q_s32(y + 16 * i + 8, c##i); \
    vst1q_s32(y + 16 * i + 12, d##i);
#define QIR_TILES(n)                                                                                        \
    QIR_IN_ORDER static void qir_winograd_neon_##n(int32_t steps, const int16_t *x, const int16_t *w,       \
                                                   const char *next, int32_t apart, int32_t *y) {           \
        const int32x4_t zero = vdupq_n_s32(0);                                                              \
        const ptrdiff_t stride = (ptrdiff_t)steps * 8;                                                      \
        (void)next, (void)apart;                                                                            \
        QIR_EACH_##n(QIR_BEGIN) do {                                                                        \
            QIR_EACH_##n(QIR_EIGHT) QIR_CHANNEL(n, 0) QIR_CHANNEL(n, 1) QIR_CHANNEL(n, 2) QIR_CHANNEL(n, 3) \
            QIR_CHANNEL(n, 4) QIR_CHANNEL(n, 5) QIR_CHANNEL(n, 6) QIR_CHANNEL(n, 7)                         \
        } while (--steps);                                                                                  \
        QIR_EACH_##n(QIR_END)                                                                               \
    }
QIR_TILES(1) QIR_TILES(2)
#if defined(__aarch64__)
QIR_TILES(3) QIR_TILES(4) QIR_TILES(5)
static qir_winograd_tiles *const qir_winograd_neon_products[] = {
    qir_winograd_neon_1, qir_winograd_neon_2, qir_winograd_neon_3, qir_winograd_neon_4, qir_winograd_neon_5};
#else
static qir_winograd_tiles *const qir_winograd_neon_products[] = {qir_winograd_neon_1, qir_winograd_neon_2};
#endif
#undef QIR_ADD_LOW
#undef QIR_ADD_HIGH
#undef QIR_ADD_PRODUCTS
#undef QIR_BEGIN
#undef QIR_EIGHT
#undef QIR_PRODUCTS
#undef QIR_CHANNEL
#undef QIR_NEXT_WEIGHTS
#undef QIR_END
#undef QIR_TILES

#endif
