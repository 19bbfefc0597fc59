/*
 * depthwise_lanes.h - depthwise sums by filters of 3 x 3 where the filters' values at a place lie behind one another: [places, filters] of
 * a block. A vector holds filters, so that neither strides nor borders nor short rows cost lanes.
 */
#ifndef KILN_CPU_DEPTHWISE_LANES_H
#define KILN_CPU_DEPTHWISE_LANES_H

#include "cpu/tile.h"

#define KILN_LANES_MOST 8 /* columns of results at a time */

/** What columns of results side by side meet, in some rows. */
struct kiln_lanes {
    const float *const
        *line;   /* rows of x: a row of results meets three, the next ones a stride further; NULL: zeros */
    size_t from; /* floats from where a row begins to the first result's first tap */
    bool first, last;    /* the first result's first column of taps, the last one's last, are zeros */
    const float *filter; /* [3, 3, KILN_TILE_COLUMNS] */
    size_t filters;      /* of the block that are wanted */
    const struct kiln_column_steps *steps;
    size_t y_row; /* floats from a row of results to the next */
};

/** So many columns of results, so many times, in so many rows: [rows, times, columns, KILN_TILE_COLUMNS]. */
typedef void kiln_lanes_sum(const struct kiln_lanes *t, size_t rows, size_t times, float *y);

/** By stride - 1 and columns, for this machine. */
struct kiln_lanes_sums {
    kiln_lanes_sum *run[2][KILN_LANES_MOST + 1];
};
const struct kiln_lanes_sums *kiln_lanes_get(void);

#endif
