/*
 * pool2d.h - the parameters of pool2d and pool2d_grad: windows over planes.
 *
 *   y[n, i, j] = the largest, or the mean, over the taps u, v inside of x, of
 *                x[n, i * stride - pad + u * dilation, j * stride - pad + v * dilation]
 *
 * x [planes, height, width], y [planes, out_height, out_width]. Constant 0 is the mode. Of the largest the
 * first counts, and NaN is larger than all; padding is never chosen. A mean divides by the taps inside of x
 * (KILN_POOL_MEAN) or inside of the padded x (KILN_POOL_MEAN_PADDED), whose end may cut a last window short.
 */
#include "interface.h"
#include "divide.h"

#define KILN_POOL_MAX 0u
#define KILN_POOL_MEAN 1u
#define KILN_POOL_MEAN_PADDED 2u

KILN_PARAMS(pool2d) {
    uint planes;
    KILN_DIVISOR(height);
    KILN_DIVISOR(width);
    KILN_DIVISOR(out_height);
    KILN_DIVISOR(out_width);
    uint size_h, size_w;
    uint stride_h, stride_w;
    uint pad_h, pad_w;                  /* before */
    uint padded_h, padded_w;            /* of x with the padding on both sides */
    uint dilation_h, dilation_w;
} KILN_PARAMS_END;
