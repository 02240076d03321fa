#include "../../runtime/qir_panels_dotprod.h"
#include "conv_u8_panels.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_STORE16 qir_neon_store16_u8
#define QIR_W int8_t
#define QIR_BITS 8
#define QIR_UNPACK 0
#define QIR_SUMS 0
#define QIR_SUMMED
/* template: end */

#if QIR_SUMS
#define QIR_KIND SUMS
#define QIR_BESIDE sum, other
#define QIR_END(i) QIR_NEON_STORE_SUM(i)
#else
#define QIR_KIND OWN
#define QIR_BESIDE 0, 0
#define QIR_END(i) QIR_NEON_STORE(i, QIR_STORE16)
#endif
QIR_DOTPROD_TILES(qir_conv_u8s8_T_dotprod, QIR_Y, QIR_DOTPROD_BEGIN, QIR_KIND, QIR_END)
#undef QIR_KIND
#undef QIR_END

/* Codes are copied less 128, as int8. Weights: [group][panel of 16 channels][segment][step][channel][4], zeros where
   there is no channel or code; bias, with (128 - x_zero_point) * sum of w, and multiplier: [group][panel][channel].
   Weights of fewer than eight bits are packed by 64 in this order. sum, other: as in conv_u8__x86.c. scratch: see
   qir_conv_u8_by_panels. */
void qir_conv_u8s8_T__dotprod(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b, const uint8_t *QIR_RESTRICT x,
                              const QIR_W *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                              const float *QIR_RESTRICT multiplier, QIR_SUMMED void *QIR_RESTRICT scratch, QIR_Y *y) {
    const qir_panel_tiles tiles = QIR_PANEL_TILES(qir_conv_u8s8_T_dotprod_tiles, 1, 64, QIR_Y);
    qir_conv_u8_by_panels(s, b, &tiles, QIR_CONV_U8_SIGNED, x, w, QIR_BITS, QIR_UNPACK, bias, multiplier,
                          QIR_BESIDE, scratch, y);
}
#undef QIR_BESIDE
