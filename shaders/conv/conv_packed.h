/*
 * conv_packed.h - the parameters of conv_packed: convolution over two axes by filters that are packed as columns (pack_columns.h),
 * whose terms are (c, u, v).
 *
 *   y[n, o, i, j] = sum over c u v of x[n, c, i', j'] * w[o, c, u, v]
 *
 * where i' = i * stride_i - pad_i + u * dilation_i and j' likewise lie inside of x.
 *
 * bindings   0: x    1: w, packed    2: y    3, 4: operands of the epilogue
 * constants  0 to 4: the epilogue's
 */
#include "epilogue.h"
#include "interface.h"

KILN_PARAMS(conv_packed)
{
    uint images, channels, filters;
    uint h, w, oh, ow; /* sizes of x and y */
    uint u, v;         /* sizes of the filter */
    uint stride_i, stride_j;
    int pad_i, pad_j; /* before; a negative one crops */
    uint dilation_i, dilation_j;
    KILN_EPILOGUE;
}
KILN_PARAMS_END;
