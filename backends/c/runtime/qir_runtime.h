/* What all kernels share. Arithmetic on float is one rounded operation at a time, rounding to nearest even. */
#ifndef QIR_RUNTIME_H
#define QIR_RUNTIME_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__)
#error "build without -ffast-math and its parts: results would no longer equal the reference"
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "float arithmetic is carried out in a wider type; on 32-bit x86 build with -msse2 -mfpmath=sse"
#endif

/* A product and a sum must not become one fused operation, whatever flags the user builds with. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#if defined(__OPTIMIZE__) && !defined(__OPTIMIZE_SIZE__)
/* Loops become vector code from -O2 on. */
#pragma GCC optimize("O3")
#endif
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

/* clang's -ffp-contract=fast ignores the pragma: products that are to be added go through an array kept by this. */
#if defined(__GNUC__)
#define QIR_KEEP(array) __asm__ volatile("" : : "r"(array) : "memory")
#else
#define QIR_KEEP(array) ((void)0)
#endif

#if defined(__cplusplus) || defined(_MSC_VER)
#define QIR_RESTRICT __restrict
#else
#define QIR_RESTRICT restrict
#endif

/* Before a short loop over neighbouring elements: gcc would unroll it before it can become vector code. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 8
#define QIR_LANES _Pragma("GCC unroll 1")
#else
#define QIR_LANES
#endif

/* A function of its own, so that its sums get the registers, and one for all callers: gcc would make a copy for every set
   of constant arguments. */
#if defined(__clang__)
#define QIR_ALONE __attribute__((noinline, unused))
#elif defined(__GNUC__)
#define QIR_ALONE __attribute__((noinline, noclone, unused))
#else
#define QIR_ALONE
#endif

/* A kernel that is no part of its caller, whatever its constant arguments make of it. */
#if defined(__GNUC__)
#define QIR_APART __attribute__((noinline))
#else
#define QIR_APART
#endif

/* A function, called once for a lot of work, that had better be small than fast. */
#if defined(__clang__)
#define QIR_SMALL __attribute__((minsize)) QIR_ALONE
#elif defined(__GNUC__)
#define QIR_SMALL __attribute__((optimize("Os"))) QIR_ALONE
#else
#define QIR_SMALL
#endif

/* Whether compilers have vectors for short loops over neighbours; where not, those are written for the registers there
   are. */
#if defined(__SSE2__) || defined(__ARM_NEON) || defined(_M_X64)
#define QIR_ON_VECTORS 1
#else
#define QIR_ON_VECTORS 0
#endif

/* Neighbouring elements whose sums stay in registers, and what stands before a loop over them. */
#if QIR_ON_VECTORS
#define QIR_NEIGHBOURS 16
#define QIR_EACH_NEIGHBOUR QIR_LANES
#else
#define QIR_NEIGHBOURS 4
#define QIR_EACH_NEIGHBOUR
#endif

/* How a real result becomes a code: clamp(rint(v) + zero_point, qmin, qmax) with low = qmin - zero_point and
   high = qmax - zero_point. */
typedef struct {
    int32_t low;
    int32_t high;
    int32_t zero_point;
} qir_requant;

/* rint(v) for |v| <= 2^22, halves to even: adding 1.5 * 2^23 leaves no bits for a fraction. */
static inline int32_t qir_round(float v) {
    return (int32_t)((v + 12582912.0f) - 12582912.0f);
}

/* Clamped before rounding: the bounds are integers, so the order does not matter, and nothing can overflow.
   NaN gives the low bound. The clamp also stands between a product and the sum that rounds it. */
static inline int32_t qir_code(float v, const qir_requant *q) {
    const float low = (float)q->low, high = (float)q->high;
    v = v > low ? v : low;
    v = v < high ? v : high;
    return qir_round(v) + q->zero_point;
}

#define QIR_FLOAT_QUOTIENT(a, count) ((a) / (float)(count))

#if defined(__SOFTFP__) || (defined(__riscv) && !defined(__riscv_flen))
/* The code of a product in float32 where the processor has no floating-point instructions: the same, by integers but for
   what lies next to a half.

   With m = g / 2^(33 + r), r >= 0 (qir_fixed.h), h the upper half of acc * g, v = acc * m: rounded = floor(v + 1/2), and
   `place` are the first 32 bits behind the point of v + 1/2. In float32 acc and the product are rounded, which moves v by
   less than (|v| + 1/2) 2^-23 = (|v| + 1/2) 512 / 2^32. Where v is farther from a half on either side it is rounded to the
   same number; nearer ones, one in thousands, and multipliers from 1/4 on are computed in float32. What lies beyond 2^17
   is clamped whatever `place` says. */
static inline int32_t qir_product_code(int32_t acc, float multiplier, const qir_requant *q) {
    uint32_t bits;
    int32_t r;
    (void)memcpy(&bits, &multiplier, sizeof bits);
    r = 124 - (int32_t)(bits >> 23);
    if (r >= 0 && r < 31) {
        const int64_t product = (int64_t)acc * (int32_t)((bits << 7 | 0x40000000u) & 0x7fffffffu);
        const int32_t h = (int32_t)(product >> 32), rounded = ((h >> r) + 1) >> 1;
        const uint32_t place = ((uint32_t)h + ((uint32_t)1 << r)) << (31 - r) | (uint32_t)product >> (r + 1);
        const uint32_t near = ((uint32_t)(rounded < 0 ? -rounded : rounded) + 1) * 512;
        if (place + near > 2 * near) {
            const int32_t code = rounded > q->low ? rounded : q->low;
            return (code < q->high ? code : q->high) + q->zero_point;
        }
    }
    return qir_code((float)acc * multiplier, q);
}
#else
static inline int32_t qir_product_code(int32_t acc, float multiplier, const qir_requant *q) {
    return qir_code((float)acc * multiplier, q);
}
#endif

/* Stores of one accumulator: as a code, or as the real number itself. */
static inline void qir_store_u8(int32_t acc, float multiplier, const qir_requant *q, uint8_t *y) {
    *y = (uint8_t)qir_product_code(acc, multiplier, q);
}

static inline void qir_store_s16(int32_t acc, float multiplier, const qir_requant *q, int16_t *y) {
    *y = (int16_t)qir_product_code(acc, multiplier, q);
}

static inline void qir_store_f32(int32_t acc, float multiplier, const qir_requant *q, float *y) {
    (void)q;
    *y = (float)acc * multiplier;
}

#endif
