#include "../../runtime/qir_panels_dotprod.h"
#include "matmul_u8_neon.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_neon_store16_u8
/* template: end */

#define QIR_END(i) QIR_NEON_STORE(i, QIR_STORE16)
QIR_DOTPROD_TILES(qir_matmul_u8u8_T_dotprod, QIR_Y, QIR_DOTPROD_BEGIN_OFFSET, OWN, QIR_END)
#undef QIR_END

/* scratch: see qir_matmul_u8_by_panels. */
void qir_matmul_u8u8_T__dotprod(const qir_matmul_u8_shape *s, float multiplier, const uint8_t *QIR_RESTRICT a,
                                const uint8_t *QIR_RESTRICT b, void *QIR_RESTRICT scratch, QIR_Y *QIR_RESTRICT y) {
    const qir_panel_tiles tiles = QIR_PANEL_TILES(qir_matmul_u8u8_T_dotprod_tiles, 1, 64, QIR_Y);
    qir_matmul_u8_by_panels(s, &tiles, QIR_MATMUL_U8_FOURS, multiplier, a, b, scratch, y);
}
