/*
 * conv_winograd_filters.h - the parameters of conv_winograd_filters: filters of 3 x 3 as conv_winograd (conv_winograd.h) multiplies by
 * them.
 *
 *   u[k, o, c] = (G w[o, c] G^T)[k], the KILN_WINOGRAD_PLACES(tile) places k row by row
 *
 *                1/4    0     0
 *               -1/6  -1/6  -1/6                    1    0    0
 *   tile 4: G = -1/6   1/6  -1/6      tile 2: G =  1/2  1/2  1/2
 *               1/24  1/12   1/6                   1/2 -1/2  1/2
 *               1/24 -1/12   1/6                    0    0    1
 *                 0     0     1
 *
 * u is [places, blocks, channels, KILN_WINOGRAD_BLOCK]: block b holds filters KILN_WINOGRAD_BLOCK b and on, zeros beyond the last.
 *
 * bindings   0: w    1: u
 */
#include "interface.h"

#define KILN_WINOGRAD_PLACES(tile) (((tile) + 2) * ((tile) + 2))
#define KILN_WINOGRAD_BLOCK        32

KILN_PARAMS(conv_winograd_filters)
{
    uint tile; /* 4 or 2 */
    uint filters, channels;
    uint filter_step, channel_step; /* elements of w from one to the next */
    uint turned;                    /* 1: the places of a filter count from its last one */
}
KILN_PARAMS_END;
