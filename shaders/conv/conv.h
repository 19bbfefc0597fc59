/*
 * conv.h - the parameters of conv and conv_grad_filter: three axes, of which the first ones have size 1 where there are
 * fewer. With a' = a * stride_a - pad_a + t * dilation_a, i' and j' likewise, a product counting where (a', i', j') lies
 * inside of x, and channels and filters numbered per group:
 *
 *   conv                  y[n, g, o, a, i, j]     = sum over c t u v of x[n, g, c, a', i', j'] * w[g, o, c, t, u, v]
 *   conv, TRANSPOSED      x[n, g, c, a', i', j']  = sum over o t u v of y[n, g, o, a, i, j] * w[g, o, c, t, u, v]
 *   conv_grad_filter      w[s, g, o, c, t, u, v]  = sum over n of split s, a, i, j of y[n, g, o, a, i, j] * x[n, g, c, a', i', j']
 *
 * Each is linear in both operands and the gradient of the other two. A split of conv_grad_filter holds the next `per_split` images,
 * the last one what is left, or one of `pieces` equal parts of an image's positions; conv sums its c (o) in `pieces` equal parts.
 * Something else adds them up: results of one are `part` elements behind those of the one before.
 *
 * bindings   conv                0: x (TRANSPOSED: y)    1: w    2: y (x)    3, 4: operands of the epilogue
 *            conv_grad_filter    0: y                    1: x    2: w
 * constants  0 to 4: the epilogue's    5: KILN_CONV_TRANSPOSED, ..
 */
#include "epilogue.h"
#include "interface.h"

#define KILN_CONV_MODE       5 /* the constant that holds: */
#define KILN_CONV_TRANSPOSED 1u
#define KILN_CONV_VOLUME     2u /* the first axis is there */
#define KILN_CONV_FEW        4u /* filters have at most 31 places */
#define KILN_CONV_SMALL      8u /* no sum has 2^20 terms */

KILN_PARAMS(conv)
{
    uint images, groups, channels, filters; /* n, g; c and o of one group */
    uint d, h, w, od, oh, ow;               /* sizes of x and y */
    uint t, u, v;                           /* sizes of the filter */
    uint stride_a, stride_i, stride_j;
    int pad_a, pad_i, pad_j; /* before; a negative one crops */
    uint dilation_a, dilation_i, dilation_j;
    uint step_a, step_i,
        step_j; /* stride / gcd(stride, dilation): TRANSPOSED, every step-th tap meets a pixel */
    uint x_image, y_image, w_filter; /* elements from one image, or filter, to the next */
    uint x_first, y_first, w_first;  /* element of the binding at which the operand begins */
    uint column_first; /* channel of the whole result that is the first one here: the epilogue's */
    uint per_split; /* conv_grad_filter: images of a split; 1 where there are pieces */
    uint pieces, part;
    KILN_EPILOGUE;
}
KILN_END_UNIFORM;
