/*
 * conv_panels.h - convolution of 8-bit numbers over two axes, channels last, by packed filters (pack_panels.h), whose terms are
 * (u, v, c); in 32 bits, which wrap. A product of matrices is one by points in a single row.
 *
 *   y[n, i, j, o] = sum over u v c of (x[n, i', j', c] - x_zero) * (w[o, u, v, c] - (w_zero[o] - w_flip))
 *
 * where i' = i * stride_i - pad_i + u * dilation_i and j' likewise lie inside of x. A zero point that is not bound is 0; a step of 0
 * means one for all filters.
 *
 * bindings   0: x    1: w, packed    2: x_zero, I32    3: w_zero, I32    4: y    5, 6: operands of what follows
 * constants  1 .. 18: what is done to each result before it is stored, finish.h
 * units      positions of y: n, i, j
 */
#include "interface.h"

KILN_PARAMS(conv_panels)
{
    uint images, channels, filters;
    uint h, w, oh, ow; /* sizes of x and y */
    uint u, v;         /* sizes of the filter */
    uint stride_i, stride_j;
    int pad_i, pad_j;
    uint dilation_i, dilation_j;
    uint quads; /* words of four terms */
    uint w_step, w_flip;
}
KILN_PARAMS_END;
