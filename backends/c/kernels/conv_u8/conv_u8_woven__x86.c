#include "conv_u8_woven_x86.h"

/* template: begin */
#include "../../runtime/qir_x86_words.h"
/* template: end */

/* The results of a panel: of two pixels at a time, or four where no more than one vector of channels is left; those that
   fill no vector are written apart first. */
QIR_TARGET QIR_ALONE static void qir_conv_u8s8_woven_T_results(const qir_conv_u8_panel *p) {
    QIR_Y *const y = (QIR_Y *)p->y;
    const QIR_REQUANT q = QIR_WIDEN_REQUANT(p->requant);
    const QIR_REALS scale = QIR_LOAD_REALS(p->multiplier), scale2 = QIR_LOAD_REALS(p->multiplier + QIR_WIDTH);
    const qir_row *to = p->pixels;
    const int32_t *from = p->sums;
    int32_t left = p->count;
    #if QIR_SUMS
    const QIR_SUM_NUMBERS numbers = QIR_WIDEN_SUM(p->sum);
    const uint8_t *const other = p->other;
    #define QIR_REAL(i, at, scale, beside) \
    QIR_SUM(QIR_SCALED(QIR_LOAD(from + 16 * (i) + (at)), scale), &numbers, (beside) + (at), QIR_OWN_FIRST)
    #else
    #define QIR_REAL(i, at, scale, beside) QIR_SCALED(QIR_LOAD(from + 16 * (i) + (at)), scale)
    #endif
    #define QIR_TWO(other0, other1, y0, y1)                                                              \
    QIR_PAIR(QIR_REAL(0, 0, scale, other0), QIR_REAL(0, QIR_WIDTH, scale2, other0),                      \
             QIR_REAL(1, 0, scale, other1), QIR_REAL(1, QIR_WIDTH, scale2, other1), q, y0, y1)
    if (p->channels >= 2 * QIR_WIDTH) {
        for (; left > 1; left -= 2, to += 2, from += 32) {
            QIR_TWO(other + to[0].to, other + to[1].to, y + to[0].to, y + to[1].to);
        }
    } else if (p->channels == QIR_WIDTH) {
        for (; left > 3; left -= 4, to += 4, from += 64) {
            QIR_FOUR(QIR_REAL(0, 0, scale, other + to[0].to), QIR_REAL(1, 0, scale, other + to[1].to),
                     QIR_REAL(2, 0, scale, other + to[2].to), QIR_REAL(3, 0, scale, other + to[3].to), q,
                     y + to[0].to, y + to[1].to, y + to[2].to, y + to[3].to);
        }
    }
    for (; left > 0; left -= 2, to += 2, from += 32) {
        const int32_t channels = p->channels < 16 ? p->channels : 16, some = left < 2 ? left : 2;
        QIR_Y part[2 * 16];
        int32_t i;
        #if QIR_SUMS
        uint8_t beside[2 * 16] = {0};
        for (i = 0; i < some; ++i) {
            QIR_PART(other + to[i].to, channels, beside + 16 * i);
        }
        #endif
        QIR_TWO(beside, beside + 16, part, part + 16);
        for (i = 0; i < some; ++i) {
            QIR_PART(part + 16 * i, channels, y + to[i].to);
        }
    }
    #undef QIR_REAL
    #undef QIR_TWO
}

/* For AVX2, what conv_u8__x86.c computes, where segments go by chunks of 16 bytes, with codes of 16 bits for vpmaddwd.
   Codes keep their zero point: weights and further steps are those of conv_u8__x86.c, but bias always holds
   -x_zero_point * sum of w. scratch: see qir_conv_u8_set_up. */
QIR_ALONE
void qir_conv_u8s8_woven_T__x86(const qir_conv_u8_shape *s, const qir_conv_u8_blocks *b, const uint8_t *QIR_RESTRICT x,
                                const int8_t *QIR_RESTRICT w, const int32_t *QIR_RESTRICT bias,
                                const float *QIR_RESTRICT multiplier, QIR_AGAIN QIR_SUMMED void *QIR_RESTRICT scratch,
                                QIR_Y *y) {
    qir_conv_u8_panel first;
    first.multiplier = multiplier;
    first.requant = &s->requant;
    first.y = (uint8_t *)y;
    #if QIR_SUMS
    first.sum = sum;
    first.other = other;
    #else
    first.sum = 0;
    first.other = 0;
    #endif
    #if QIR_CODES == 8
    QIR_WOVEN_CONV(s, b, x, w, bias, again, scratch, first, (int32_t)sizeof *y, qir_conv_u8s8_woven_T_results);
    #else
    QIR_WOVEN_CONV(s, b, x, w, bias, scratch, first, (int32_t)sizeof *y, qir_conv_u8s8_woven_T_results);
    #endif
}
