#include "dropout.h"

void qir_dropout_unmasked__portable(size_t bytes, const void *x, void *y) {
    if (y != x) {
        (void)memcpy(y, x, bytes);
    }
}
