#include "dropout.h"

void qir_dropout__portable(size_t bytes, size_t count, const void *x, void *y, uint8_t *mask) {
    if (y != x) {
        memcpy(y, x, bytes);
    }
    memset(mask, 1, count);
}
