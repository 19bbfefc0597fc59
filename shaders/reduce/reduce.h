/*
 * reduce.h - the block of a reduction: x is [outer, first, kept, second, inner], of which first and second are reduced.
 *
 *   y[s, o, k, i] = finish(scale * combine over t in part s of x[o, t / second, k, t % second, i])
 *
 * Part s holds part_length values from t = s * part_length on, the last one what is left of first * second.
 *
 * bindings   0: x    1: y
 * constants  0: the code (codes.h)    1: the finish
 * units      y's elements
 */
#include "interface.h"

KILN_PARAMS(reduce)
{
    uint outer, first, kept, second, inner;
    uint parts, part_length;
    uint x_first, y_first;  /* element of the binding at which the operand begins */
    KILN_REAL(scale);       /* of sums of reals */
}
KILN_PARAMS_END;
