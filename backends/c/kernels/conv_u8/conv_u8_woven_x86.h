/* Convolutions of woven windows (runtime/qir_woven.h), whatever becomes of their sums: the windows of a block are woven
   once, then multiplied with one panel of weights after the other, and the sums of a panel become results together. */
#ifndef QIR_CONV_U8_WOVEN_X86_H
#define QIR_CONV_U8_WOVEN_X86_H

#include "../../runtime/qir_woven_x86.h"
#include "conv_u8_woven.h"

/* template: begin */
#include "../../runtime/qir_x86_words.h"
/* template: end */

QIR_TARGET QIR_SMALL static void QIR_WOVEN_CONV(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b, const uint8_t *x,
                                                const int8_t *w, const int32_t *bias, QIR_AGAIN void *scratch,
                                                qir_conv_u8_panel first, int32_t bytes,
                                                qir_conv_u8_results *results) {
    const int32_t panels = (s->out_channels + 15) / 16, wide = QIR_CODES == 2;
    const int32_t length = b->by_taps ? s->in_channels : s->window.kernel[2] * s->in_channels;
    const ptrdiff_t codes = (ptrdiff_t)b->segments * length, stored = 16 * codes;
    const qir_conv_u8_loom loom = qir_conv_u8_set_up(b, codes << wide, QIR_WOVEN_ROWS, scratch);
    qir_conv_u8_block at = qir_conv_u8_first_block(s, b), last = {0, 0, 0, 0, 0, 0};
    qir_heights cut = {0, 0, 0};
    qir_conv_u8_panel panel = first;
    qir_woven t;
    t.chunks = (int32_t)(codes << wide) / 16;
    panel.pixels = loom.pixels;
    panel.sums = loom.sums;
    for (; qir_conv_u8_block_left(s, &at); qir_conv_u8_next_block(s, b, &at)) {
        ptrdiff_t start = qir_conv_u8_pixel(b, &at) * s->groups * s->out_channels;
        int32_t group, p;
        qir_conv_u8_open(s, b, &at, x, QIR_CONV_U8_CODES, loom.segments);
        if (at.rows != last.rows || at.columns != last.columns) {
            qir_conv_u8_list(s, b, &at, QIR_CONV_U8_CODES, loom.segments, loom.pixels);
            cut = qir_cut_into_tiles(at.rows * at.columns, QIR_WOVEN_ROWS);
            t.apart = stored / ((ptrdiff_t)t.chunks * (cut.higher + cut.lower));
            last = at;
        }
        panel.count = at.rows * at.columns;
        for (group = 0; group < s->groups; ++group, start += s->out_channels) {
            qir_conv_u8_weave(&loom, b->segments, length, wide, &cut, QIR_WOVEN_ROWS,
                              (const uint8_t *)loom.segments[0] + (ptrdiff_t)group * s->in_channels);
            for (p = 0; p < panels; ++p) {
                const ptrdiff_t place = (ptrdiff_t)group * panels + p;
                t.weights = w + place * stored;
                #if QIR_CODES == 8
                t.weights += (ptrdiff_t)again[place] * QIR_STEP_BYTES;
                t.again = again[place + 1] - again[place];
                t.number = again + s->groups * panels + 1 + again[place];
                #endif
                t.next = (const char *)(place + 1 < (ptrdiff_t)s->groups * panels ? t.weights + stored : w);
                t.bias = bias + place * 16;
                panel.multiplier = first.multiplier + place * 16;
                panel.channels = s->out_channels - p * 16;
                panel.y = first.y + (start + p * 16) * bytes;
                panel.other = first.other ? first.other + start + p * 16 : 0;
                QIR_WOVEN_SUMS(&t, loom.woven, loom.offsets, &cut, panel.channels, loom.sums);
                results(&panel);
            }
        }
    }
}

#endif
