/* Numbers of add_few__avx2.c. */
#ifndef QIR_ADD_FEW_H
#define QIR_ADD_FEW_H

#include "../../runtime/qir_runtime.h"

#define QIR_ADD_FEW_MOST 3

/* Rows of 16: by number of the operand that has few codes. */
typedef struct {
    uint8_t threshold[QIR_ADD_FEW_MOST][16];
    uint8_t added[QIR_ADD_FEW_MOST][16]; /* 1, or 0 where the threshold is never reached */
    int32_t levels;
    int32_t few_low;
    int32_t y_low;
} qir_add_few_numbers;

#endif
