#include "reverse_sequence.h"

void qir_reverse_sequence__portable(int32_t first, int32_t second, int32_t time_first, size_t bytes, const void *x,
                                    const int64_t *lengths, void *QIR_RESTRICT y) {
    const uint8_t *const from = (const uint8_t *)x;
    const int32_t steps = time_first ? first : second;
    uint8_t *to = (uint8_t *)y;
    int32_t i, j;
    for (i = 0; i < first; ++i) {
        for (j = 0; j < second; ++j, to += bytes) {
            const int32_t step = time_first ? i : j, sample = time_first ? j : i;
            const int64_t length = lengths[sample] < steps ? lengths[sample] : steps;
            const int32_t source = step < length ? (int32_t)length - 1 - step : step;
            const size_t place = time_first ? (size_t)source * (size_t)second + (size_t)j
                                            : (size_t)i * (size_t)second + (size_t)source;
            (void)memcpy(to, from + place * bytes, bytes);
        }
    }
}
