/*
 * gather.h - the parameters of gather: y[o, j, i] = x[o, at(index), i]
 *
 * where at(r) = r + rows if r < 0, then clamped to 0 .. rows - 1; an index of KILN_INDEX_NOWHERE gives 0. x [outer, rows, inner], y
 * [outer, count, inner]. The index is [outer / share, count], one list for `share` neighbouring o, or with FULL [outer, count, inner].
 * Of the rows of x only [first, first + shown) are bound; elements that want others stay as they are.
 *
 * bindings   0: x    1: index    2: y
 * constants  0: words of an element, 1 or 2    1: FULL
 * units      rows (o, j) of y
 */
#include "interface.h"
#include "divide.h"

KILN_PARAMS(gather) {
    uint outer, rows, first, shown;
    KILN_DIVISOR(count);
    KILN_DIVISOR(inner);
    KILN_DIVISOR(share);
} KILN_PARAMS_END;
