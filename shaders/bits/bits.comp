#version 450
/*
 * bits - y = x, as words: what they mean is not this kernel's
 *
 * bindings   0: x    1: y
 * dispatch   an element a lane
 */
#include "kiln.glsl"
#include "bits.h"

KILN_IN(0, uint, x);
KILN_OUT(1, uint, y);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e < p.count)
        y[e] = x[e];
}
