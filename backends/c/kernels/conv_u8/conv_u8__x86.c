#include "../../runtime/qir_tiles_x86.h"
#include "conv_u8_tiles.h"

/* template: begin */
#include "../../runtime/qir_x86_words.h"
/* template: end */

/* vpdpbusd adds four products of codes and weights to a lane, exactly. Without it vpmaddwd multiplies codes less their
   zero point with weights, both of 16 bits, and adds two neighbouring products, at most 2 * 255 * 128, in 32 bits: exactly
   too, where the products of bytes that AVX2 has would saturate. Those are exact as well for weights of which the two
   or four that are added in 16 bits come to 128 at most on either side of zero, since 255 * 128 fits. Where four come
   to more, what is too much is left for a further step on the same codes.

   Weights: [group][panel of 16 channels][segment][step][channel][codes of a step], zeros where there is no channel or
   code; a step of eight codes has the first four of every channel, then the other four. Only with these further steps
   follow in a panel; again: how many there are before each panel, and in all, then the numbers of the steps whose codes
   they take. Bias, with -x_zero_point * sum of w where codes are taken as they are, and multiplier:
   [group][panel][channel]. Weights of fewer than eight bits, packed by 64 in this order, are unpacked for every block, as
   many panels as a tile takes; a panel of sums of planes begins with QIR_TABLE bytes of tables. sum, other: where results are sums with other codes, which lie as those of y do and may
   share their bytes. scratch: room for unpacked panels, then see qir_conv_u8_room. */
#if QIR_BITS < 8 /* it unpacks weights itself */
QIR_TARGET QIR_ALONE
#else
QIR_TARGET QIR_SMALL
#endif
void qir_conv_u8s8_T__x86(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b, const uint8_t *QIR_RESTRICT x,
                          const QIR_W *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                          const float *QIR_RESTRICT multiplier, QIR_AGAIN QIR_TAKEN_STEPS QIR_SUMMED void *QIR_RESTRICT scratch,
                          QIR_Y *y) {
    const int32_t panels = (s->out_channels + 15) / 16, wide = QIR_CODES == 2, steps = b->segments * b->steps;
    qir_conv_u8_block at = qir_conv_u8_first_block(s, b), last = {0, 0, 0, 0, 0, 0};
    const ptrdiff_t panel = (ptrdiff_t)steps * QIR_STEP_BYTES, stored = QIR_TABLE + panel * QIR_BITS / 8;
    int8_t *const unpacked = (int8_t *)scratch;
    qir_conv_u8_lists lists = qir_conv_u8_room(b, unpacked + (QIR_BITS < 8 ? panel * (QIR_WIDTH / 8) : 0));
    qir_tiles t;
    t.steps = steps;
    t.run = b->run;
    t.panel = panel;
    t.pixels = lists.pixels;
    t.places = lists.places;
    t.requant = &s->requant;
    #if QIR_SUMS
    t.sum = sum;
    #endif
    for (; qir_conv_u8_block_left(s, &at); qir_conv_u8_next_block(s, b, &at)) {
        const ptrdiff_t first = qir_conv_u8_pixel(b, &at) * s->groups * s->out_channels;
        int32_t group, p;
        qir_conv_u8_open(s, b, &at, x, wide, lists.segments);
        if (at.rows != last.rows || at.columns != last.columns) {
            qir_conv_u8_lay_out(s, b, &at, wide, QIR_CODES << wide, &lists);
            last = at;
        }
        for (group = 0; group < s->groups; ++group) {
            t.x = (const uint8_t *)lists.segments[0] + ((ptrdiff_t)group * s->in_channels << wide);
            for (p = 0; p < panels; p += QIR_SPARSE ? 1 : QIR_WIDTH / 8) {
                const ptrdiff_t place = (ptrdiff_t)group * panels + p;
                #if QIR_BITS < 8
                QIR_UNPACK(w + place * stored, QIR_BITS, p + 1 < panels ? QIR_WIDTH / 8 : 1, panel / 64, unpacked);
                t.weights = unpacked;
                #else
                t.weights = w + place * stored;
                #endif
                #if QIR_SPARSE
                {
                    const uint16_t *const number = taken + first_step[place];
                    int32_t *const places = lists.places + steps;
                    int32_t i;
                    t.steps = first_step[place + 1] - first_step[place];
                    t.weights = w + (ptrdiff_t)first_step[place] * QIR_STEP_BYTES;
                    t.places = places;
                    for (i = 0; i < t.steps; ++i) {
                        places[i] = lists.places[number[i]];
                    }
                }
                #elif QIR_CODES == 8
                {
                    const int32_t *const number = again + s->groups * panels + 1 + again[place];
                    int32_t i;
                    t.weights += (ptrdiff_t)again[place] * QIR_STEP_BYTES;
                    t.steps = steps + again[place + 1] - again[place];
                    for (i = steps; i < t.steps; ++i) {
                        lists.places[i] = lists.places[number[i - steps]];
                    }
                }
                #endif
                t.bias = bias + place * 16;
                t.multiplier = multiplier + place * 16;
                t.channels = s->out_channels - p * 16;
                #if QIR_SPARSE
                t.channels = t.channels < 16 ? t.channels : 16;
                #endif
    #if QIR_SUMS
                t.other = other + first + (ptrdiff_t)group * s->out_channels + p * 16;
    #endif
                QIR_BY_TILES(&t, at.rows * at.columns, y + first + (ptrdiff_t)group * s->out_channels + p * 16);
            }
        }
    }
}
