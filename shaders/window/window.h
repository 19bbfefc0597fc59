/*
 * window.h - the parameters of window, which moves part of a value from or to a place that data gives.
 *
 *   to = 0 (a slice)   y[o, j, i] = x[o, at + j, i]
 *   to = 1 (put)       y[o, at + j, i] = x[o, j, i]
 *
 * for j below count, where at = position + rows if position < 0, then clamped to 0 .. rows - total. The whole has `rows` rows, of
 * which [first, first + bound) are bound; the part has `total`, of which count are bound, from `skip` on. What falls beyond the
 * bound rows is left out. Both begin some elements into their bindings. Constant 0 is the size of an element in words, 1 or 2;
 * constant 1 is `to`.
 */
#include "interface.h"
#include "divide.h"

KILN_PARAMS(window) {
    uint outer, rows, first, bound;
    uint total, skip, inner;
    uint whole_start, part_start;
    KILN_DIVISOR(part);     /* count * inner */
} KILN_PARAMS_END;
