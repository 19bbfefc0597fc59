/*
 * conv_columns.h - the parameters of conv_columns: what the filters of a convolution of one group (conv.h) meet, laid out so that
 * it is a product of matrices.
 *
 *   z[n, (c, u, v), (i, j)] = x[n, c, i * stride_i - pad_i + u * dilation_i, j * stride_j - pad_j + v * dilation_j]
 *
 * zeros outside of x. z is [images, terms, columns]: rows beyond channels * taps and columns beyond oh * ow are zeros.
 *
 * bindings   0: x    1: z
 */
#include "divide.h"
#include "interface.h"

KILN_PARAMS(conv_columns)
{
    uint images;
    uint h, w, oh;
    uint u, v;
    uint stride_i, stride_j;
    int pad_i, pad_j; /* before; a negative one crops */
    uint dilation_i, dilation_j;
    uint terms;
    KILN_DIVISOR(ow);
    KILN_DIVISOR(fours); /* columns / 4 */
    KILN_DIVISOR(channels);
}
KILN_PARAMS_END;
