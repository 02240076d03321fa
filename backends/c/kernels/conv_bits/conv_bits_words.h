/* Words of conv_bits__vectors.c (vectors.py) for a product of binary codes, as AVX2 or, on ARM, NEON has them. */
#ifndef QIR_CONV_BITS_WORDS_H
#define QIR_CONV_BITS_WORDS_H

#if defined(__aarch64__) || defined(__arm__)
#include "conv_bits_neon.h"
#define QIR_TARGET
#define QIR_PART(name) qir_bits_neon_##name
#define QIR_STEP 2
#else
#include "conv_bits_avx2.h"
#define QIR_TARGET QIR_AVX2
#define QIR_PART(name) qir_bits_avx2_##name
#define QIR_STEP 1
#endif
#define QIR_PANEL 32
#define QIR_Y uint8_t
#define QIR_LAST float
#define QIR_BIASED 1
#define QIR_BIAS const int32_t *QIR_RESTRICT bias,
#define QIR_ARRANGED QIR_PART(arranged)
#define QIR_COUNT_ONE QIR_PART(xor1)
#define QIR_COUNT_FOUR QIR_PART(xor4)
#define QIR_FINISH QIR_PART(codes_u8)

#endif
