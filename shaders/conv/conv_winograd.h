/*
 * conv_winograd.h - the parameters of conv_winograd: convolution by filters of 3 x 3 in tiles of 4 x 4 or 2 x 2 results, F(4x4, 3x3)
 * and F(2x2, 3x3) of Lavin and Gray (2016), after Winograd (1980): 36 products instead of 144, or 16 instead of 36, for each tile,
 * channel and filter.
 *
 *   y[n, o, tile] = A^T (sum over c of u[., o, c] * (B^T x[n, c, tile] B)) A
 *
 * where u are the filters as conv_winograd_filters makes them, or such as it would make of packed ones, * goes element by element,
 * and tile (i, j) of y, rows tile i and on, meets the elements of x from row tile i - pad_i and column tile j - pad_j on, tile + 2 a
 * side, zeros outside of x.
 *
 *                 1  1  1  1  1  0             4  0 -5  0  1  0
 *   tile 4: A^T = 0  1 -1  2 -2  0     B^T =   0 -4 -4  1  1  0
 *                 0  1  1  4  4  0             0  4 -4 -1  1  0
 *                 0  1 -1  8 -8  1             0 -2 -1  2  1  0
 *                                              0  2 -1 -2  1  0
 *                                              0  4  0 -5  0  1
 *
 *                 1  1  1  0                   1  0 -1  0
 *   tile 2: A^T = 0  1 -1  1           B^T =   0  1  1  0
 *                                              0 -1  1  0
 *                                              0 -1  0  1
 *
 * bindings   0: x    1: u    2: y    3, 4: operands of the epilogue
 * constants  0 to 4: the epilogue's
 */
#include "epilogue.h"
#include "interface.h"

KILN_PARAMS(conv_winograd)
{
    uint tile; /* 4 or 2 */
    uint images, channels, filters;
    uint h, w, oh, ow;
    int pad_i, pad_j; /* before; a negative one crops */
    uint taps;        /* 1: u are plain filters, packed by pack_columns */
    KILN_EPILOGUE;
}
KILN_PARAMS_END;
