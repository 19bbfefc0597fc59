/*
 * grid.h - the parameters of grid_sample, grid_sample_grad and grid_taps: x at the places of a grid.
 *
 *   grid_sample        y[n, c, q] = sum over taps k of w[n, q, k] x[n, c, at[n, q, k]]
 *   grid_sample_grad   dgrid[n, q, e] = sum over k of dw[n, q, k] / dgrid[n, q, e] * sum over c of dy[n, c, q] x[n, c, at[n, q, k]]
 *   grid_taps          w and at themselves, at counted through all images, for the gradient by x: places that are no element of
 *                      x have KILN_GRID_NOWHERE
 *
 * x [images, channels, d, h, w], grid [images, places, 2 or 3]. Along an axis of n elements coordinate v lies at
 * u = ((v + 1) n - 1) / 2, or (v + 1) (n - 1) / 2 with ALIGN, or v with ELEMENTS. NaN lies at -100; u is brought into
 * [-10^9, 10^9]. With border or reflection u is brought into x, or, where taps are four, each tap is. Taps are the nearest
 * element; the two around u, 1 - t and t; or four, by the curve of Keys with a = -0.75. They count the last axis fastest.
 *
 * bindings   grid_sample         0: x       1: grid    2: y
 *            grid_sample_grad    0: x       1: grid    2: dgrid    3: dy
 *            grid_taps           0: grid    1: at      2: w
 * constants  0: mode    1: padding    2: flags
 * units      elements of y; places
 */
#include "interface.h"
#include "divide.h"

#define KILN_GRID_MODE_LINEAR 0u
#define KILN_GRID_MODE_NEAREST 1u
#define KILN_GRID_MODE_CUBIC 2u

#define KILN_GRID_PAD_ZEROS 0u
#define KILN_GRID_PAD_BORDER 1u
#define KILN_GRID_PAD_REFLECTION 2u

#define KILN_GRID_ALIGN 1u
#define KILN_GRID_VOLUME 2u     /* three coordinates */
#define KILN_GRID_ELEMENTS 4u   /* u = v */

#define KILN_GRID_NOWHERE 0x80000000u

KILN_PARAMS(grid) {
    uint results;               /* elements of y, or places of all images */
    KILN_DIVISOR(places);       /* of an image */
    KILN_DIVISOR(channels);
    uint d, h, w;
    uint first;                 /* grid_taps: the image of the first place */
    uint x_first, grid_first, y_first; /* elements behind the beginning of x; of grid; of y, dy, dgrid or w */
    uint out_first;             /* of dgrid, or at */
} KILN_PARAMS_END;
