#version 450
/*
 * clip_factor - y = min(1, limit / (sqrt(sum of x) + 1e-6)).
 *
 * bindings   0: x in    1: y out
 * dispatch   one workgroup
 * numerics   each lane sums every LANES-th element in float, then a tree over the lanes; NaN passes
 */
#include "kiln.glsl"
#include "group.glsl"
#include "clip_factor.h"

KILN_IN(0, float, x);
KILN_OUT(1, float, y);

void main()
{
    KILN_GROUP(group);
    float total = 0.0;
    for (uint i = LANE; i < p.count; i += LANES)
        total += x[i];
    total = kiln_group_sum(total);
    if (LANE == 0)
        y[group] = kiln_min(1.0, p.limit / (sqrt(total) + KILN_CLIP_EPSILON));
}
