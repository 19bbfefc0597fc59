/*
 * pool_last.h - the largest byte of windows over two axes, channels last:
 *
 *   y[n, i, j, c] = the largest x[n, i * stride_i - pad_i + u * dilation_i, j * stride_j - pad_j + v * dilation_j, c] inside of x
 *
 * Each window holds an element of x at the least.
 *
 * bindings   0: x    1: y
 * units      rows of y: n, i
 */
#include "interface.h"

KILN_PARAMS(pool_last)
{
    uint images, channels;
    uint h, w, oh, ow; /* sizes of x and y */
    uint size_i, size_j, stride_i, stride_j, pad_i, pad_j, dilation_i, dilation_j;
}
KILN_PARAMS_END;
