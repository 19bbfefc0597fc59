#version 450
/*
 * split_sum - y[i] = sum over s of x[s * part + i], in the order of s.
 *
 * bindings   0: x in    1: y out
 * dispatch   an invocation an element
 */
#include "kiln.glsl"
#include "split_sum.h"

KILN_IN(0, float, x);
KILN_OUT(1, float, y);

void main()
{
    KILN_GROUP(group);
    const uint i = group * LANES + LANE;
    if (i >= p.count)
        return;
    float sum = 0.0;
    for (uint s = 0; s < p.splits; s++)
        sum += x[s * p.part + i];
    y[i] = sum;
}
