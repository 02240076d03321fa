/* Sums of products over named axes, one or two operands:

   y[i] = sum over j of a[i . a_kept + j . a_summed] * b[i . b_kept + j . b_summed]

   i runs over the result's axes, row by row, j over the others, row by row, each step rounded (integers wrap). */
#ifndef QIR_EINSUM_H
#define QIR_EINSUM_H

#include "../../runtime/qir_broadcast.h"

typedef struct {
    qir_broadcast kept;
    qir_broadcast summed;
} qir_einsum_shape;

#endif
