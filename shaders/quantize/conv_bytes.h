/*
 * conv_bytes.h - convolution of 8-bit numbers over three axes (the first ones have size 1 where there are fewer), in 32 bits,
 * which wrap:
 *
 *   y[n, g, o, a, i, j] = sum over c < depth, t, u, v of (x[n, g, c, a', i', j'] - (x_zero - x_flip)) *
 *                                                        (w[g, o, c, t, u, v] - (w_zero[g, o] - w_flip))
 *
 * with a' = a * stride_a - pad_a + t * dilation_a, i' and j' likewise, where they lie inside: padding counts as x_zero. x and w are
 * packed signed bytes (pack_bytes.h) along the channels, [n, g, quads, d, h, w] and [g, o, quads, t, u, v], 0 from depth on. A
 * zero point that is not bound is 0; a step of 0 means one for all filters.
 *
 * bindings   0: x    1: w    2: x_zero, I32    3: w_zero, I32    4: y    5, 6: operands of what follows
 * constants  0: zeros.h    1 .. 18: what is done to each result before it is stored, finish.h
 * units      volumes of y: n, g, o
 */
#include "interface.h"
#include "zeros.h"

KILN_PARAMS(conv_bytes)
{
    uint images, groups, quads, depth, filters; /* quads, depth and filters of one group */
    uint d, h, w, od, oh, ow;
    uint t, u, v;
    uint stride_a, stride_i, stride_j;
    int pad_a, pad_i, pad_j;
    uint dilation_a, dilation_i, dilation_j;
    uint x_image, y_image; /* from one image to the next: words of x, elements of y */
    uint w_step;           /* of the zero points */
    uint x_flip, w_flip;
}
KILN_PARAMS_END;
