/* What kernels for x86 share. Functions are told their instruction set one by one: no compiler flag is needed. */
#ifndef QIR_X86_H
#define QIR_X86_H

#include <immintrin.h>

#include "qir_vector.h"

#if defined(__GNUC__)
#define QIR_AVX2 __attribute__((target("avx2")))
#define QIR_AVXVNNI __attribute__((target("avx2,avxvnni")))
#define QIR_AVX512VNNI __attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define QIR_AVX512VPOPCNTDQ \
    __attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq")))
#else
#define QIR_AVX2
#define QIR_AVXVNNI
#define QIR_AVX512VNNI
#define QIR_AVX512VPOPCNTDQ
#endif

/* Instructions on vectors of 256 or 512 bits, for templates. */
#define QIR_MM256(instruction) _mm256_##instruction
#define QIR_MM512(instruction) _mm512_##instruction

/* What no call of a network comes to is left out of it (qir.backends.c.program.Parts): here it ends, were it missing. */
#if defined(__GNUC__)
#define QIR_NEVER __builtin_trap()
#elif defined(_MSC_VER)
#define QIR_NEVER __debugbreak()
#else
#define QIR_NEVER ((void)0)
#endif

/* Before a loop whose turns are long: compilers would lay them side by side. */
#if defined(__clang__)
#define QIR_ONE_BY_ONE _Pragma("clang loop unroll(disable)")
#elif defined(__GNUC__) && __GNUC__ >= 8
#define QIR_ONE_BY_ONE _Pragma("GCC unroll 1")
#else
#define QIR_ONE_BY_ONE
#endif

/* Sums of 32 bits take all steps in one run. */
#define QIR_ONE_RUN(n, run)
#define QIR_ONE_RUN_END(n)

/* A product that is to be added: clang's -ffp-contract=fast would fuse the two. */
#if defined(__GNUC__)
#define QIR_KEEP_PRODUCT(product) __asm__("" : "+x"(product))
#else
#define QIR_KEEP_PRODUCT(product) ((void)0)
#endif

#endif
