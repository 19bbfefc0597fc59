/*
 * pack_columns.h - the parameters of pack_columns: the columns of a matrix as a CPU's tiles multiply by them.
 *
 *   to[block, k, j] = from[(block * KILN_PACKED_COLUMNS + j) * column_step + k * depth_step], 0 beyond the last column
 *
 * bindings   0: from    1: to
 */
#include "interface.h"

#define KILN_PACKED_COLUMNS 32

KILN_PARAMS(pack_columns)
{
    uint columns, depth;
    uint column_step, depth_step; /* elements of `from` from one to the next */
}
KILN_PARAMS_END;
