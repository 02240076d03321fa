#include "../../runtime/qir_panels_i8mm.h"
#include "conv_u8_panels.h"

/* template: begin */
#define QIR_Y uint8_t
#define QIR_LAID qir_neon_laid_u8
#define QIR_LAY qir_neon_lay_u8
#define QIR_STORE_PAIR qir_neon_store_pair_u8
#define QIR_W int8_t
#define QIR_BITS 8
#define QIR_UNPACK 0
#define QIR_SUMS 0
#define QIR_SUMMED
/* template: end */

#if QIR_SUMS
#define QIR_KIND SUMS
#define QIR_BESIDE sum, other
#define QIR_LOW(i) QIR_I8MM_LOW_SUM(i)
#define QIR_HIGH(i) QIR_I8MM_HIGH_SUM(i)
#else
#define QIR_KIND OWN
#define QIR_BESIDE 0, 0
#define QIR_LOW(i) QIR_I8MM_LOW(i, QIR_LAID, QIR_LAY)
#define QIR_HIGH(i) QIR_I8MM_HIGH(i, QIR_LAY, QIR_STORE_PAIR)
#endif
QIR_I8MM_TILES(qir_conv_u8s8_T_i8mm, QIR_Y, QIR_I8MM_BEGIN, QIR_KIND, QIR_LOW, QIR_HIGH)
#undef QIR_KIND
#undef QIR_LOW
#undef QIR_HIGH

/* Weights: [group][panel of 16 channels][segment][step][channel][8], zeros where there is no channel or code; bias,
   with -x_zero_point * sum of w, and multiplier: [group][panel][channel]. Weights of fewer than eight bits are packed
   by 64 in this order. sum, other: as in conv_u8__x86.c. scratch: see qir_conv_u8_by_panels. */
void qir_conv_u8s8_T__i8mm(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b, const uint8_t *QIR_RESTRICT x,
                           const QIR_W *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                           const float *QIR_RESTRICT multiplier, QIR_SUMMED void *QIR_RESTRICT scratch, QIR_Y *y) {
    const qir_panel_tiles tiles = QIR_PANEL_TILES(qir_conv_u8s8_T_i8mm_tiles, 2, 128, QIR_Y);
    qir_conv_u8_by_panels(s, b, &tiles, QIR_CONV_U8_PAIRS, x, w, QIR_BITS, QIR_UNPACK, bias, multiplier,
                          QIR_BESIDE, scratch, y);
}
#undef QIR_BESIDE
