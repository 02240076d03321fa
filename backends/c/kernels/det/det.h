/* Determinants of square matrices [count, n, n], by elimination with the largest pivot of each column, in place of a copy in
   scratch, each step rounded. */
#ifndef QIR_DET_H
#define QIR_DET_H

#include "../../runtime/qir_runtime.h"

#endif
