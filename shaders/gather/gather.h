/*
 * gather.h - the parameters of gather and gather_grad.
 *
 *   gather        y[o, j, i] = x[o, at(index[j]), i]
 *   gather_grad   dx[o, r, i] = sum over j with at(index[j]) = r of dy[o, j, i], in the order of j
 *
 * where at(r) = r + rows if r < 0, then clamped to 0 .. rows - 1. x, dx [outer, rows, inner], index [count],
 * y, dy [outer, count, inner]. Constant 0 of gather is the size of an element in words, 1 or 2.
 */
#include "interface.h"
#include "divide.h"

KILN_PARAMS(gather) {
    uint outer, rows;
    KILN_DIVISOR(count);
    KILN_DIVISOR(inner);
} KILN_PARAMS_END;
