/* Exponential, hyperbolic tangent, logistic and error function on vectors, within 3e-7 of the true value relative to it.
   Coefficients are of the smallest largest error over the interval that is named, found in double precision by weighted
   least squares whose weights follow the error (Lawson's method), then rounded to float. */
#ifndef QIR_F32_FUNCTIONS_H
#define QIR_F32_FUNCTIONS_H

#include "qir_runtime.h"

/* template: begin */
#include "qir_f32_words.h"
/* template: end */

/* e^x = 2^n e^r with n = rint(x / ln 2) and r = x - n ln 2 in [-0.35, 0.35], ln 2 in two parts, the first of which has so few
   bits that n times it is exact; e^r = 1 + (r + r^2 p(r)). Below -104 the result is 0, above 88.8 infinite; NaN passes. */
QIR_ISA static QIR_INLINE QIR_VF QIR_EXP(QIR_VF x) {
    const QIR_VF inside = QIR_MIN(QIR_ALL(89.0f), QIR_MAX(QIR_ALL(-104.0f), x));
    const QIR_VF n = QIR_RINT(QIR_MUL(inside, QIR_ALL(1.44269504f)));
    const QIR_VF r = QIR_FNMA(n, QIR_ALL(-2.12194440e-4f), QIR_FNMA(n, QIR_ALL(0.693359375f), inside));
    QIR_VF p = QIR_FMA(r, QIR_ALL(0.00138131424f), QIR_ALL(0.00836941879f));
    p = QIR_FMA(p, r, QIR_ALL(0.0416684560f));
    p = QIR_FMA(p, r, QIR_ALL(0.166665152f));
    p = QIR_FMA(p, r, QIR_ALL(0.499999940f));
    p = QIR_FMA(p, QIR_MUL(r, r), r);
    return QIR_SCALE(QIR_ADD(QIR_ALL(1.0f), p), n);
}

/* 1 / (1 + e^-x). */
QIR_ISA static QIR_INLINE QIR_VF QIR_SIGMOID(QIR_VF x) {
    return QIR_DIV(QIR_ALL(1.0f), QIR_ADD(QIR_ALL(1.0f), QIR_EXP(QIR_NEG(x))));
}

/* x + x^3 p(x^2) for |x| < 0.625, else 1 - 2 / (e^(2 |x|) + 1) with the sign of x. */
QIR_ISA static QIR_INLINE QIR_VF QIR_TANH(QIR_VF x) {
    const QIR_VF size = QIR_ABS(x), square = QIR_MUL(x, x), one = QIR_ALL(1.0f);
    const QIR_VF far = QIR_SUB(one, QIR_DIV(QIR_ALL(2.0f), QIR_ADD(QIR_EXP(QIR_ADD(size, size)), one)));
    QIR_VF p = QIR_FMA(square, QIR_ALL(-0.00571703678f), QIR_ALL(0.0206505787f));
    p = QIR_FMA(p, square, QIR_ALL(-0.0537434965f));
    p = QIR_FMA(p, square, QIR_ALL(0.133314908f));
    p = QIR_FMA(p, square, QIR_ALL(-0.333332837f));
    p = QIR_FMA(p, QIR_MUL(square, x), x);
    return QIR_PICK(QIR_LESS(size, QIR_ALL(0.625f)), p, QIR_SIGNED(far, x));
}

/* x + x p(x^2) for |x| < 1, else 1 - e^-q(|x|) with the sign of x; beyond 4 that is 1. */
QIR_ISA static QIR_INLINE QIR_VF QIR_ERF(QIR_VF x) {
    const QIR_VF size = QIR_ABS(x), square = QIR_MUL(x, x), far = QIR_MIN(QIR_ALL(4.0f), size);
    QIR_VF p = QIR_FMA(square, QIR_ALL(7.88911930e-5f), QIR_ALL(-8.02084105e-4f));
    QIR_VF q = QIR_FMA(far, QIR_ALL(-1.86380057e-4f), QIR_ALL(0.00294766645f));
    p = QIR_FMA(p, square, QIR_ALL(0.00518953521f));
    p = QIR_FMA(p, square, QIR_ALL(-0.0268544443f));
    p = QIR_FMA(p, square, QIR_ALL(0.112836003f));
    p = QIR_FMA(p, square, QIR_ALL(-0.376126260f));
    p = QIR_FMA(p, square, QIR_ALL(0.128379166f));
    q = QIR_FMA(q, far, QIR_ALL(-0.0218380950f));
    q = QIR_FMA(q, far, QIR_ALL(0.103106809f));
    q = QIR_FMA(q, far, QIR_ALL(0.638144732f));
    q = QIR_FMA(q, far, QIR_ALL(1.12708926f));
    q = QIR_FMA(q, far, QIR_ALL(3.41512961e-4f));
    q = QIR_SUB(QIR_ALL(1.0f), QIR_EXP(QIR_NEG(q)));
    return QIR_PICK(QIR_LESS(size, QIR_ALL(1.0f)), QIR_FMA(p, x, x), QIR_SIGNED(q, x));
}

#endif
