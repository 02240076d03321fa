#include "../../runtime/qir_panels_neon.h"
#include "matmul_u8_neon.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_neon_store16_u8
/* template: end */

/* Any two codes may meet, so their products are added one by one. */
#define QIR_SUMS(i) QIR_NEON_SUMS(i, qir_neon_one_by_one)
#define QIR_END(i) QIR_NEON_STORE(i, QIR_STORE16)
QIR_NEON_TILES(qir_matmul_u8u8_T_neon, QIR_Y, QIR_NEON_BEGIN_OFFSET, QIR_SUMS, OWN, QIR_END)
#undef QIR_SUMS
#undef QIR_END

/* scratch: see qir_matmul_u8_by_panels. */
void qir_matmul_u8u8_T__neon(const qir_matmul_u8_shape *s, float multiplier, const uint8_t *QIR_RESTRICT a,
                             const uint8_t *QIR_RESTRICT b, void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    const qir_panel_tiles tiles = QIR_PANEL_TILES(qir_matmul_u8u8_T_neon_tiles, 1, 64, QIR_Y);
    qir_matmul_u8_by_panels(s, &tiles, QIR_MATMUL_U8_TWOS, multiplier, a, b, scratch, y);
}
