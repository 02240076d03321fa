#include "../../runtime/qir_mve.h"
#include "quantize.h"

typedef struct {
    int32_t planes;
    float inverse;
    float minus_scale;
    int32_t zero_point;
    float least;
    float most;
} qir_quantize_f32_u8_mve_numbers;

/* A plane of `count` reals to codes, `planes` apart.

   There is no division of vectors. A quotient that is near x / scale, by a product with the inverse, is mended twice:

       quotient += (x - quotient * scale) * inverse, each a fused product and sum.

   The first time that makes it x / scale but for less than a unit in its last place, from at most two; the second time,
   the inverse being the nearest float, it makes it the nearest one to x / scale (P. Markstein, IBM J. Res. Dev. 34, 1990).
   Reals are bounded first, by least and most: bounds of codes times the scale, whose quotients round to these bounds.
   Vectors take subnormal numbers for zero. Of quotients from 1/4 on nothing is subnormal but what is zero: what is left is
   a multiple of 2^-48 of the real, which is at least 2^-62.

   The greater of a number and no number is the number, unless that is a signalling one, which the first of two such makes
   a quiet one. */
QIR_ASSEMBLY void qir_quantize_f32_u8_mve_plane(QIR_UNUSED const float *x, QIR_UNUSED int32_t count,
                                                QIR_UNUSED uint8_t *y,
                                                QIR_UNUSED const qir_quantize_f32_u8_mve_numbers *n) {
    __asm__("push {r4-r7, lr}\n\t"
            "vpush {d8-d11}\n\t"
            "ldm r3!, {r4-r7}\n\t"
            "ldrd r3, r12, [r3]\n\t"
            "vdup.32 q2, r3\n\t"
            "vdup.32 q3, r12\n\t"
            "mov r12, #0\n\t"
            "vidup.u32 q1, r12, #1\n\t"
            "vmul.i32 q1, q1, r4\n\t"
            "lsls r4, r4, #2\n\t"
            "dlstp.32 lr, r1\n"
            "1:\n\t"
            "vldrw.32 q0, [r0], #16\n\t"
            "vmaxnm.f32 q0, q0, q2\n\t"
            "vmaxnm.f32 q0, q0, q2\n\t"
            "vminnm.f32 q0, q0, q3\n\t"
            "vmul.f32 q4, q0, r5\n\t"
            "vmov q5, q0\n\t"
            "vfma.f32 q5, q4, r6\n\t"
            "vfma.f32 q4, q5, r5\n\t"
            "vfma.f32 q0, q4, r6\n\t"
            "vfma.f32 q4, q0, r5\n\t"
            "vcvtn.s32.f32 q4, q4\n\t"
            "vadd.i32 q4, q4, r7\n\t"
            "vstrb.32 q4, [r2, q1]\n\t"
            "adds r2, r2, r4\n\t"
            "letp lr, 1b\n\t"
            "vpop {d8-d11}\n\t"
            "pop {r4-r7, pc}\n\t");
}

/* Planes to pixels: x [samples][planes][pixels], y [samples][pixels][planes]; `inverse`: the float nearest to 1 / scale,
   both between 2^-60 and 2^60. */
void qir_quantize_f32_u8__mve(const qir_requant *requant, float scale, float inverse, int32_t samples, int32_t planes,
                              int32_t pixels, const float *QIR_RESTRICT x, uint8_t *QIR_RESTRICT y) {
    qir_quantize_f32_u8_mve_numbers n;
    int32_t sample, plane;
    n.planes = planes;
    n.inverse = inverse;
    n.minus_scale = -scale;
    n.zero_point = requant->zero_point;
    n.least = (float)requant->low * scale;
    n.most = (float)requant->high * scale;
    for (sample = 0; sample < samples; ++sample, y += (ptrdiff_t)planes * pixels) {
        for (plane = 0; plane < planes; ++plane, x += pixels) {
            qir_quantize_f32_u8_mve_plane(x, pixels, y + plane, &n);
        }
    }
}
