/*
 * depthwise_lanes.h - depthwise sums by filters of 3 x 3 where the filters' values at a place lie behind one another: [places, filters] of
 * a block. A vector holds filters, so that neither strides nor borders nor short rows cost lanes.
 */
#ifndef KILN_CPU_DEPTHWISE_LANES_H
#define KILN_CPU_DEPTHWISE_LANES_H

#include "cpu/tile.h"

#define KILN_LANES_MOST 8 /* columns of results at a time */

/** What columns of results side by side meet. */
struct kiln_lanes {
    const float *line[3]; /* rows of x from the first result's first tap on; NULL: zeros */
    bool first, last;     /* the first result's first column of taps, the last one's last, are zeros */
    const float *filter;  /* [3, 3, KILN_TILE_COLUMNS] */
    size_t filters;       /* of the block that are wanted */
    const struct kiln_column_steps *steps;
};

/** So many columns of results, so many times: [times, columns, KILN_TILE_COLUMNS]. */
typedef void kiln_lanes_sum(const struct kiln_lanes *t, size_t times, float *y);

/** By stride - 1 and columns, for this machine. */
struct kiln_lanes_sums {
    kiln_lanes_sum *run[2][KILN_LANES_MOST + 1];
};
const struct kiln_lanes_sums *kiln_lanes_get(void);

#endif
