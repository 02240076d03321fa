/* Depthwise convolution on vectors: what its kernels share.

   Codes of neighbouring channels of several rows are *joined*: those of one channel come to lie side by side, so that one
   instruction multiplies them by the weights of a column of the kernel and adds the products. A column joined once
   serves every window that holds it; of two output rows, one below the other, it serves both: rows r0 r1 r2 r3 times
   (w0, w1, w2, 0) are the upper one's share and times (0, w0, w1, w2) the lower one's. */
#ifndef QIR_CONV_U8_DEPTHWISE_H
#define QIR_CONV_U8_DEPTHWISE_H

#include "../conv_u8_blocks.h"

/* A number that gcc shall not put into a vector with its neighbours, only to take it out again. */
#if defined(__GNUC__)
#define QIR_ALONG(number) __asm__("" : "+r"(number))
#else
#define QIR_ALONG(number) ((void)0)
#endif

typedef struct {
    int32_t pair;    /* two output rows go together */
    int32_t apart;   /* columns are joined for each output anew: windows share none */
    int32_t copied;  /* rows are copied, with padding written out, as vectors are longer than a pixel */
    int32_t flat;    /* neighbouring pixels fill a vector, weights repeat along it */
    int32_t columns; /* of outputs in a strip */
    int32_t width;   /* codes of a vector that are results */
} qir_conv_u8_depthwise;

/* A row under the windows: its pixel 0, and which bits of an offset count: none where the row lies outside. */
typedef struct {
    const uint8_t *from;
    ptrdiff_t counts;
} qir_conv_u8_depthwise_row;

#endif
