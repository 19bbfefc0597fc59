/*
 * unique.h - the parameters of the kernels that tell runs of equal rows: x [rows, cols], `order` names them in their order.
 *
 *   unique_heads   heads[s] = 1 where row order[s] differs from the one before it, and is there; else 0
 *   unique_store   what each run g = ranks[s] - 1, ranks being the sums of heads, is: its row, where its first one stands, for
 *                  each row of x its run, and where each run ends; and how many runs there are
 *   unique_counts  counts[g] = ends[g] - ends[g - 1]
 *
 * bindings   unique_heads   0: x    1: order    2: there, how many rows there are    3: heads
 *            unique_store   0: x    1: order    2: there    3: ranks    4: values [rows, cols]    5: places, [3, rows]: first,
 *                           runs (by row of x), ends    6: count
 *            unique_counts  0: places    1: counts
 * constants  0: 1 where elements are reals    1: 1 where `there` is bound    2: words of an element
 * units      rows
 */
#include "interface.h"

KILN_PARAMS(unique) {
    uint rows, cols;
} KILN_PARAMS_END;
