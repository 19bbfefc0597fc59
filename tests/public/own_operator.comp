#version 450
/* own_operator - y[i] = x[i] * |x[i]|: an application's own kernel.   bindings  0: x in  1: y out */
#include "kiln.glsl"
#include "own_operator.h"

KILN_IN(0, float, x);
KILN_OUT(1, float, y);

void main()
{
    KILN_GROUP(group);
    const uint i = group * LANES + LANE;
    if (i < p.count)
        y[i] = x[i] * abs(x[i]);
}
