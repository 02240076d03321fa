/* Convolutions, and products of matrices, of packed bits with weights of few bits.

   x holds numbers b of one or two bits, packed along the channels (pack_bits.h), which stand for step * b - zero;
   pixels outside the input are real zeros. A weight of channel m is

       w = offset + sum over planes j of value[j] * (bit of plane j)

   (binary: offset -1, one plane of value 2; ternary: planes of +1 and -1; two's complement: 1, 2, .., -2^(n-1)). With
   b = sum over planes i of 2^i a_i the sum over the taps inside the input and all channels is

       sum (step * b - zero) * w = step * (sum over i, j of 2^i value[j] * |a_i & w_j| + offset * sum of 2^i |a_i|)
                                   - zero * (sum of w - sum of w at taps outside the input)

   where |v| counts the ones of v, and taps outside the input have no ones. The binder puts -zero * (sum of w) into the
   bias; `outside` holds the sums of w at single taps, times zero. Where both are binary, |a & w| is had from one
   exclusive or: 4 |a & w| - 2 |a| = 2 |w| - 2 |a ^ w|, of which 2 |w| is in the bias too. Thresholds are less the bias, so
   that there is none beside them.

   Everything is an integer: sums stay below 2^31, as the binder checks, so the order of adding does not matter.

   Results, for channel m and its sum: a code or real number like those of conv_u8.h (`last` are multipliers); or the
   number of thresholds last[l][m] <= sum, as a code y_low + y_step * number, or packed in y_bits planes. */
#ifndef QIR_CONV_BITS_H
#define QIR_CONV_BITS_H

#include "../../runtime/qir_window.h"

typedef struct {
    qir_window window;
    int32_t bytes;   /* of one plane of a pixel of x */
    int32_t planes;  /* of x */
    int32_t words;   /* of 64 bits: one plane of a window, taps one after the other, filled up with zeros */
    int32_t outputs; /* channels of y */
    int32_t w_planes;
    int32_t value[5];
    int32_t offset;
    int32_t step;
    int32_t padded; /* taps may lie outside the input, and zero is not 0 */
    int32_t levels; /* of numbers */
    int32_t y_bits;
    int32_t y_low;
    int32_t y_step;
    qir_requant requant;
} qir_conv_bits_shape;

#endif
