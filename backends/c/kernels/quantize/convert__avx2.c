#include "../../runtime/qir_moves_avx2.h"
#include "quantize.h"

/* template: begin */
#define QIR_X float
#define QIR_Y uint8_t
#define QIR_LOAD16 qir_avx2_load16_f32
#define QIR_MOVE16 qir_avx2_move16_u8
/* template: end */

/* By sixteen; what is left goes through room of its own. */
QIR_AVX2
void qir_convert_T__avx2(const qir_requant *requant, float scale, size_t count, const QIR_X *QIR_RESTRICT x,
                         QIR_Y *QIR_RESTRICT y) {
    const qir_moves8 m = qir_widen_moves8(scale, requant);
    size_t i;
    for (i = 0; i + 16 <= count; i += 16) {
        QIR_MOVE16(QIR_LOAD16(x + i, &m), &m, y + i);
    }
    if (i < count) {
        QIR_X given[16] = {0};
        QIR_Y found[16];
        memcpy(given, x + i, (count - i) * sizeof(QIR_X));
        QIR_MOVE16(QIR_LOAD16(given, &m), &m, found);
        memcpy(y + i, found, (count - i) * sizeof(QIR_Y));
    }
}
