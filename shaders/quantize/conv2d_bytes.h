/*
 * conv2d_bytes.h - 2-D convolution of 8-bit numbers, in 32 bits, which wrap:
 *
 *   y[n, g, o, i, j] = sum over c < depth, u, v of (x[n, g, c, i', j'] - (x_zero - x_flip)) * (w[g, o, c, u, v] - (w_zero[g, o] - w_flip))
 *
 * with i' = i * stride_i - pad_i + u * dilation_i and j' likewise, where they lie in the picture: padding counts as x_zero. x and
 * w are packed signed bytes (pack_bytes.h) along the channels, [n, g, quads, h, w] and [g, o, quads, u, v], 0 from depth on. A
 * zero point that is not bound is 0; a step of 0 means one for all filters.
 *
 * bindings   0: x    1: w    2: x_zero, I32    3: w_zero, I32    4: y
 * constants  0: zeros.h
 * units      images of y's filters: n, g, o
 */
#include "interface.h"
#include "zeros.h"

KILN_PARAMS(conv2d_bytes) {
    uint images, groups, quads, depth, filters;     /* quads, depth and filters of one group */
    uint h, w, u, v, oh, ow;
    uint stride_i, stride_j, pad_i, pad_j, dilation_i, dilation_j;
    uint x_image, y_image;                          /* from one image to the next: words of x, elements of y */
    uint w_step;                                    /* of the zero points */
    uint x_flip, w_flip;
} KILN_PARAMS_END;
