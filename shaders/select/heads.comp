#version 450
/*
 * unique_heads - where runs of equal rows begin (unique.h). Zeros are equal whatever their sign; no NaN equals another.
 *
 * dispatch   LANES rows a workgroup
 */
#include "kiln.glsl"
#include "unique.h"

KILN_CONSTANT(0, REALS);
KILN_CONSTANT(1, BOUNDED);

KILN_IN_ANY(0, x);
KILN_IN(1, uint, order);
KILN_IN(2, int, there);
KILN_OUT(3, uint, heads);

bool differ(uint a, uint b)
{
    if (REALS == 0u)
        return a != b;
    const float f = uintBitsToFloat(a), g = uintBitsToFloat(b);
    return kiln_is_nan(f) || kiln_is_nan(g) || (a != b && ((a | b) & 0x7fffffffu) != 0u);
}

void main()
{
    KILN_GROUP(group);
    const uint s = group * LANES + LANE;
    if (s >= p.rows)
        return;

    bool head = s == 0u;
    const uint row = order[s], before = order[max(s, 1u) - 1u];
    for (uint c = 0; c < p.cols && !head; c++) {
        const uint a = KILN_LOAD(0, x, row * p.cols + c), b = KILN_LOAD(0, x, before * p.cols + c);
        head = differ(a, b);
    }
    heads[s] = uint(head && (BOUNDED == 0u || int(s) < there[0]));
}
