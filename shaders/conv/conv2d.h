/*
 * conv2d.h - the parameters of conv2d and of its two gradients. With i' = i * stride_i - pad_i + u * dilation_i and j'
 * likewise, a product counting where i' and j' lie in the picture, and all channels and filters numbered per group:
 *
 *   conv2d               y[n, g, o, i, j]         = epilogue(sum over c u v of x[n, g, c, i', j'] * w[g, o, c, u, v])
 *   conv2d_grad_input    dx[n, g, c, i', j']      = sum over o u v of dy[n, g, o, i, j] * w[g, o, c, u, v]
 *   conv2d_grad_filter   dw[s, g, o, c, u, v]     = sum over n of split s, i, j of dy[n, g, o, i, j] * x[n, g, c, i', j']
 *
 * Split s holds `per_split` images from s * per_split on, the last one what is left; splits lie `part` elements apart.
 */
#include "interface.h"
#include "epilogue.h"

KILN_PARAMS(conv2d) {
    uint images, groups, channels, filters;     /* n, g; c and o of one group */
    uint h, w, u, v, oh, ow;                    /* sizes of picture, filter, output */
    uint stride_i, stride_j, pad_i, pad_j, dilation_i, dilation_j;
    uint x_image, y_image;                      /* elements from one image to the next, of x and of y */
    uint per_split, part;
    KILN_EPILOGUE;
} KILN_PARAMS_END;
