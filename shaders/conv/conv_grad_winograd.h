/*
 * conv_grad_winograd.h - the parameters of conv_grad_winograd: the gradient of conv_winograd.h's convolution by its filters, in its
 * tiles and with its matrices.
 *
 *   w[s, o, c] = G^T (sum over n of split s and tiles of (A y[n, o, tile] A^T) * (B^T x[n, c, tile] B)) G
 *
 * Tile (i, j) of y, its 4 x 4 elements from row 4 i and column 4 j on, zeros outside, meets the 6 x 6 of x from row 4 i - pad_i and
 * column 4 j - pad_j on. A split holds the next `per_split` images, the last one what is left; results of one are `part` elements
 * behind those of the one before.
 *
 * bindings   0: y    1: x    2: w
 */
#include "interface.h"

KILN_PARAMS(conv_grad_winograd)
{
    uint images, channels, filters;
    uint h, w, oh, ow;
    int pad_i, pad_j; /* before; a negative one crops */
    uint per_split, part;
}
KILN_PARAMS_END;
