#version 450
/*
 * copy - y[walk of y] = x[walk of x], an element a lane.
 *
 * bindings   0: x in    1: y out, apart from x
 * dispatch   LANES elements a workgroup, in the order of the axes
 */
#include "kiln.glsl"
#include "copy.h"

KILN_CONSTANT(1, RANK);
KILN_IN(0, WORD, x);
KILN_OUT(1, WORD, y);

void main()
{
    KILN_GROUP(group);
    uint rest = group * LANES + LANE;
    if (rest >= p.count)
        return;

    uint from = p.x_start, to = p.y_start;
    for (uint a = RANK - 1; a > 0; a--) {
        const uint outer = kiln_divide(rest, p.multiplier[a], (p.shifts >> (5 * a)) & 31);
        const uint i = rest - outer * p.size[a];
        from += i * p.x_step[a];
        to += i * p.y_step[a];
        rest = outer;
    }
    y[to + rest * p.y_step[0]] = x[from + rest * p.x_step[0]];
}
