/*
 * conv_positions.h - positions of a picture times packed filters, finished by an epilogue: the products of convolutions on a CPU.
 *
 * Positions lie behind one another in runs, and a table says where the terms of a sum lie from a position on. Either positions are a
 * tile's rows, filters its columns, and results [positions, filters] of a block are turned into planes; or, where sums are so short
 * that turning would take as long, filters are rows, positions columns, and results go straight to their planes.
 */
#ifndef KILN_CPU_CONV_POSITIONS_H
#define KILN_CPU_CONV_POSITIONS_H

#include "cpu/epilogue_fast.h"
#include "cpu/tile.h"
#include "matmul/pack_columns.h"

struct kiln_positions {
    const struct kiln_tiles *tiles;
    const int32_t *at;   /* of the terms, from a position on */
    size_t depth;        /* terms */
    const float *x;      /* the first position */
    size_t count;        /* of positions: whole runs */
    size_t run, x_run;   /* positions of one; floats from one to the next */
    size_t step;         /* floats from a position to the next; as columns 1 */
    const float *packed; /* all filters, in blocks of KILN_PACKED_COLUMNS (pack_columns.h) */
    size_t first, end;   /* filters that are taken */
    float *y;            /* the first filter's result at the first position */
    size_t plane;        /* floats from a filter's results to the next one's */
    size_t place,
        flat;   /* of the first position within its picture; of the picture's first result in the output */
    float *out; /* room for results of a block; none is needed for columns */
    struct kiln_row_epilogue *epilogue;
    const struct kiln_tile_finish *finish; /* the same, from the picture's first result on */
};

/** Whether columns done in vain, or twice, cost less than turning results; a run is a tile at the least. */
bool kiln_positions_suit_columns(size_t run, size_t depth);

/** Filters are taken from the first of a block on. */
void kiln_positions_as_rows(const struct kiln_positions *p);

/* What that is made of, for those who do something in between ... */

/** Split a finish for the block that begins with filter o: the first steps, as far as filters' numbers go, and the rest. */
struct kiln_tile_finish kiln_positions_lead(const struct kiln_tile_finish *finish, size_t o, size_t filters,
                                            struct kiln_column_steps *lead);

/** Results [positions, KILN_PACKED_COLUMNS] of the block that begins with filter o, to p->out. */
void kiln_positions_multiply(const struct kiln_positions *p, size_t o, const struct kiln_column_steps *steps);

/** Such results to planes of y, finished by the rest of the steps, or by the epilogue where they are not all. */
void kiln_positions_turn(const struct kiln_positions *p, size_t o, const struct kiln_tile_finish *rest);

/** The last columns of a run are done twice where they do not fill a tile: a run is a tile at the least, and its unit's own. */
void kiln_positions_as_columns(const struct kiln_positions *p);

#endif
