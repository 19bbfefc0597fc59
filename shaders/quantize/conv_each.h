/*
 * conv_each.h - convolution of 8-bit numbers over two axes, channels last, each channel by a filter of its own (pack_each.h):
 *
 *   y[n, i, j, c] = sum over u v of (x[n, i', j', c] - x_zero) * w[u, v, c]
 *
 * where i' = i * stride_i - pad_i + u * dilation_i and j' likewise lie inside of x. A zero point that is not bound is 0.
 *
 * bindings   0: x    1: w, packed    2: x_zero, I32    3: nothing    4: y    5, 6: operands of what follows
 * constants  1 .. 18: what is done to each result before it is stored, finish.h
 * units      positions of y: n, i, j
 */
#include "interface.h"

KILN_PARAMS(conv_each)
{
    uint images, channels;
    uint h, w, oh, ow; /* sizes of x and y */
    uint u, v;         /* sizes of the filters */
    uint stride_i, stride_j;
    int pad_i, pad_j;
    uint dilation_i, dilation_j;
}
KILN_PARAMS_END;
