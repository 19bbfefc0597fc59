/*
 * conv_winograd_in.h - the parameters of conv_winograd_in: the transform of x by itself, where a product of matrices (matmul.h) does the
 * sums of conv_winograd.h and conv_winograd_out.h the rest.
 *
 *   v[k, c, t] = (B^T x[n, c, tile] B)[k]
 *
 * where t counts the down * across tiles of all images, one image after the other, and v is [places, channels, columns], as many
 * columns as there are tiles, rounded up; those beyond the last tile are zeros.
 *
 * bindings   0: x    1: v
 */
#include "interface.h"

KILN_PARAMS(conv_winograd_in)
{
    uint tile; /* 4 or 2 */
    uint images, channels;
    uint h, w;
    int pad_i, pad_j; /* before; a negative one crops */
    uint down, across, columns;
}
KILN_PARAMS_END;
