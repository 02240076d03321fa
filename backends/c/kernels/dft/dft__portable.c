#include "dft.h"

/* template: begin */
#define QIR_T float
/* template: end */

void qir_dft_T__portable(const qir_dft_shape *s, const QIR_T *QIR_RESTRICT x, const double *QIR_RESTRICT table,
                         QIR_T *QIR_RESTRICT y) {
    const ptrdiff_t step = (ptrdiff_t)s->inner * s->x_parts;
    int32_t o, k, i, j;
    for (o = 0; o < s->outer; ++o) {
        for (k = 0; k < s->results; ++k) {
            for (i = 0; i < s->inner; ++i) {
                const QIR_T *const from = x + (ptrdiff_t)o * s->given * step + (ptrdiff_t)i * s->x_parts;
                double real = 0, imaginary = 0;
                int32_t m = 0;
                for (j = 0; j < s->n; ++j) {
                    const int32_t mirrored = s->hermitian && j >= s->given;
                    const int32_t at = mirrored ? s->n - j : j;
                    if (at < s->given) {
                        const double re = from[at * step], part = s->x_parts == 2 ? from[at * step + 1] : 0;
                        const double im = mirrored ? -part : part;
                        const double cosine = table[m], sine = s->inverse ? table[s->n + m] : -table[s->n + m];
                        real += re * cosine - im * sine;
                        imaginary += re * sine + im * cosine;
                    }
                    m = m >= s->n - k ? m - (s->n - k) : m + k;
                }
                *y++ = (QIR_T)(s->inverse ? real / s->n : real);
                if (s->y_parts == 2) {
                    *y++ = (QIR_T)(s->inverse ? imaginary / s->n : imaginary);
                }
            }
        }
    }
}
