/*
 * conv_pair.h - the parameters of conv_pair: a convolution of packed filters (pack_columns.h), and behind it a depthwise one by filters of
 * 3 x 3, at once.
 *
 *   z[n, o, i, j] = sum over c u v of x[n, c, i', j'] * w[o, c, u, v], finished
 *   y[n, o, i, j] = sum over u v of z[n, o, i', j'] * d[o, u, v], finished
 *
 * where i' = i * stride_i - pad_i + u * dilation_i and j' likewise lie inside of x, in the second line, with y_stride, y_pad_i and no
 * dilation, of z.
 *
 * bindings   0: x    1: w, packed    2: y    3, 4: operands of z's epilogue, which are numbers or a channel's    5: d, packed likewise
 *            6, 7: operands of y's epilogue
 * constants  0 to 4: z's epilogue's    5 to 9: y's
 */
#include "epilogue.h"
#include "interface.h"

#define KILN_PAIR_TAPS   3
#define KILN_PAIR_SECOND 5 /* the first of y's constants */

KILN_PARAMS(conv_pair)
{
    uint images, channels, filters;
    uint h, w, oh, ow; /* sizes of x, of z */
    uint u, v;         /* of the first filter */
    uint stride_i, stride_j;
    int pad_i, pad_j; /* before */
    uint dilation_i, dilation_j;
    uint y_h, y_w, y_stride;
    int y_pad_i, y_pad_j;
    KILN_EPILOGUE;  /* z's */
    uint second[8]; /* y's */
}
KILN_PARAMS_END;
