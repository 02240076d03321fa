#include "dropout.h"

void qir_dropout__portable(size_t bytes, size_t count, const void *x, void *y, uint8_t *mask) {
    if (y != x) {
        (void)memcpy(y, x, bytes);
    }
    (void)memset(mask, 1, count);
}
