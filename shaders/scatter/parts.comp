#version 450
/*
 * scatter_parts - what the parts of long runs come to, so that no lane has a long run alone (scatter.h).
 *
 * dispatch   LANES elements (o, q, i) a workgroup
 */
#include "scatter.glsl"

KILN_IN(0, uvec2, pairs);
KILN_IN_ANY(1, u);
KILN_OUT(2, uint, sums);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE, parts = p.count / KILN_SCATTER_PART;
    if (e >= p.outer * parts * p.inner)
        return;

    const uint line = KILN_DIVIDE(e, inner), i = e - line * p.inner, o = line / parts, q = line - o * parts;
    const uint begin = list_of(o, i) * p.count + q * KILN_SCATTER_PART;
    if (pairs[begin].x != pairs[begin + KILN_SCATTER_PART - 1u].x)
        return;
    uint value = KILN_LOAD(1, u, (o * p.count + pairs[begin].y) * p.inner + i);
    for (uint s = begin + 1u; s < begin + KILN_SCATTER_PART; s++)
        value = meet(value, KILN_LOAD(1, u, (o * p.count + pairs[s].y) * p.inner + i));
    sums[e] = value;
}
