/*
 * resize.h - the parameters of resize: sums over runs of neighbours, by a table of weights for each of three axes.
 *
 *   y[n, a, i, j, c] = sum over s, t, u of wa[a, s] * wi[i, t] * wj[j, u] * x[n, fa[a] + s, fi[i] + t, fj[j] + u, c]
 *
 * x [outer, a, i, j, inner], y [outer, oa, oi, oj, inner]. A row of an axis's table is the first element of the run, f, how many
 * elements it has, and as many weights as the longest has. Weights are floats; their rests lie p.rest words behind them, for the
 * references. Where a run of any of the three is empty, y is `outside`.
 *
 * Forward and backward are the same sums by other tables, whatever the mode of interpolation (src/ops/resize_table.c).
 *
 * bindings   0: x    1: y    2: the tables, words
 * constants  0: flags    1: the pattern of axis j in rows [p.begin, p.end) of its table, which the kernel may use
 * units      elements of y
 */
#include "interface.h"
#include "divide.h"

#define KILN_RESIZE_COPY 1u         /* runs are of one element or none, weights 1: y has x's bits */
#define KILN_RESIZE_VOLUME 2u       /* axis a is there */

#define KILN_RESIZE_ANY 0u
#define KILN_RESIZE_DOUBLING 1u     /* rows j + 2 are as rows j, one element of x further */
#define KILN_RESIZE_HALVING 2u      /* rows j + 1 are as rows j, two elements of x further */

#define KILN_RESIZE_HEAD 2u         /* words of a row in front of its weights */

KILN_PARAMS(resize) {
    uint results;                   /* elements of y */
    KILN_DIVISOR(inner);
    KILN_DIVISOR(oj);
    KILN_DIVISOR(oi);
    KILN_DIVISOR(oa);
    uint a, i, j;
    uint x_first, y_first;          /* added, modulo 2^32, to an element to find it in its binding */
    uint rows_a, rows_i, rows_j;    /* where the axes' rows begin in the table */
    uint taps_a, taps_i, taps_j;    /* weights of a row */
    uint rest;
    uint begin, end;
    KILN_REAL(outside);
} KILN_PARAMS_END;
