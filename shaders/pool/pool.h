/*
 * pool.h - the parameters of pool and pool_grad: windows over planes of three axes, of which the first ones have size 1 where
 * there are fewer.
 *
 *   y[n, a, i, j] = the largest, the mean or the sum, over the taps t, u, v inside of x, of
 *                   x[n, a * stride_a - pad_a + t * dilation_a, i * stride_i - pad_i + u * dilation_i, ..]
 *
 * x [planes, d, h, w], y [planes, od, oh, ow]. Of the largest the first counts, and NaN is larger than all; padding is never
 * chosen. A mean divides by the taps inside of x (KILN_POOL_MEAN) or inside of the padded x (KILN_POOL_MEAN_PADDED), whose end
 * may cut a last window short. ADAPTIVE windows divide an axis instead: number q of n covers elements floor(q * size / n) to
 * ceil((q + 1) * size / n) - 1.
 *
 * An index is the place of the largest in its plane, the last axis counting fastest, or the first one with COLUMN_MAJOR;
 * KILN_POOL_NOWHERE for a window that holds nothing.
 *
 * bindings   pool         0: x    1: y, unless only the index is wanted        2: index, with INDEXED
 *            pool_grad    0: x    1: dy    2: dx    3: index. x is bound for the largest where there is no index
 * constants  0: the mode    1: flags
 * units      elements of the result
 */
#include "interface.h"
#include "divide.h"

#define KILN_POOL_MAX 0u
#define KILN_POOL_MEAN 1u
#define KILN_POOL_MEAN_PADDED 2u
#define KILN_POOL_SUM 3u

#define KILN_POOL_VOLUME 1u         /* the first axis is there */
#define KILN_POOL_ADAPTIVE 2u
#define KILN_POOL_INDEXED 4u        /* the index is written, or read by pool_grad */
#define KILN_POOL_COLUMN_MAJOR 8u
#define KILN_POOL_INDEX_ALONE 16u   /* pool writes no y */

#define KILN_POOL_NOWHERE 0x80000000u

KILN_PARAMS(pool) {
    uint results, first;            /* elements of the result, from that one on, counted through all planes */
    KILN_DIVISOR(d);
    KILN_DIVISOR(h);
    KILN_DIVISOR(w);
    KILN_DIVISOR(od);
    KILN_DIVISOR(oh);
    KILN_DIVISOR(ow);
    uint size_a, size_i, size_j;
    uint stride_a, stride_i, stride_j;
    uint pad_a, pad_i, pad_j;       /* before */
    uint end_a, end_i, end_j;       /* of the padding behind, counted from x's first element */
    uint dilation_a, dilation_i, dilation_j;
    /* What is added, modulo 2^32, to an element of x, of y and what lies as it does, or of dx to find it in its binding. */
    uint x_first, y_first, dx_first;
} KILN_END_UNIFORM;
