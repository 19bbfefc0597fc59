#version 450
/*
 * gather - y[o, j, i] = x[o, at(index[j]), i], an element a lane.
 *
 * bindings   0: x in    1: index in    2: y out
 * dispatch   LANES elements of y a workgroup
 */
#include "kiln.glsl"
#include "gather.h"

KILN_IN(0, WORD, x);
KILN_IN(1, int, index);
KILN_OUT(2, WORD, y);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.outer * p.count * p.inner)
        return;

    const uint row = KILN_DIVIDE(e, inner), o = KILN_DIVIDE(row, count);
    int at = index[row - o * p.count];
    at = clamp(at < 0 ? at + int(p.rows) : at, 0, int(p.rows) - 1);
    y[e] = x[(o * p.rows + uint(at)) * p.inner + e - row * p.inner];
}
