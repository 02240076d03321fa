#include "../../runtime/qir_panels_i8mm.h"
#include "matmul_u8_neon.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_LAID qir_neon_laid_u8
#define QIR_LAY qir_neon_lay_u8
#define QIR_STORE_PAIR qir_neon_store_pair_u8
/* template: end */

#define QIR_LOW(i) QIR_I8MM_LOW(i, QIR_LAID, QIR_LAY)
#define QIR_HIGH(i) QIR_I8MM_HIGH(i, QIR_LAY, QIR_STORE_PAIR)
QIR_I8MM_TILES(qir_matmul_u8u8_T_i8mm, QIR_Y, QIR_I8MM_BEGIN_OFFSET, OWN, QIR_LOW, QIR_HIGH)
#undef QIR_LOW
#undef QIR_HIGH

/* scratch: see qir_matmul_u8_by_panels. */
void qir_matmul_u8u8_T__i8mm(const qir_matmul_u8_shape *s, float multiplier, const uint8_t *QIR_RESTRICT a,
                             const uint8_t *QIR_RESTRICT b, void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    const qir_panel_tiles tiles = QIR_PANEL_TILES(qir_matmul_u8u8_T_i8mm_tiles, 2, 128, QIR_Y);
    qir_matmul_u8_by_panels(s, &tiles, QIR_MATMUL_U8_EIGHTS, multiplier, a, b, scratch, y);
}
