#version 450
/*
 * window - part of a value, from or to rows that data gives; an element of the part a lane. See window.h.
 *
 * bindings   0: x in    1: position in    2: y out, of which the part alone is written
 * dispatch   LANES elements of the part a workgroup
 */
#include "kiln.glsl"
#include "window.h"

KILN_CONSTANT(1, to);

KILN_IN(0, WORD, x);
KILN_IN(1, int, position);
KILN_OUT(2, WORD, y);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.outer * p.part)
        return;

    const int last = int(p.rows) - int(p.total);
    int at = position[0];
    at = clamp(at < 0 ? at + int(p.rows) : at, 0, last);
    const uint o = KILN_DIVIDE(e, part);
    const uint i = (uint(at) + p.skip - p.first) * p.inner + e - o * p.part;    /* wraps where it lies before the first row */
    const uint room = p.bound * p.inner;
    if (i >= room)
        return;
    if (to == 1u)
        y[p.whole_start + o * room + i] = x[p.part_start + e];
    else
        y[p.part_start + e] = x[p.whole_start + o * room + i];
}
