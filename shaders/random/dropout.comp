#version 450
/*
 * dropout - y[i] = draw(i) >= threshold ? x[i] * scale : 0
 *
 * bindings   0: x    1: counter    2: y
 * dispatch   an invocation computes 4 elements that lie side by side, from one block of random bits
 */
#include "kiln.glsl"
#include "dropout.h"
#include "philox.glsl"

KILN_IN(0, T, x);
KILN_IN(1, uint, counter);
KILN_OUT(2, T, y);

void main()
{
    KILN_GROUP(group);
    const uint from = 4u * (group * LANES + LANE);
    if (from >= p.elements)
        return;
    const uvec4 draw = kiln_philox(uvec4((p.first + from) / 4u, 0u, counter[1], p.stream), uvec2(counter[0], 0u));
    const uint count = min(4u, p.elements - from);
    for (uint k = 0u; k < count; k++)
        y[from + k] = T(draw[k] >= p.threshold ? float(x[from + k]) * p.scale : 0.0);
}
