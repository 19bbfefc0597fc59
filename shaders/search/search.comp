#version 450
/*
 * search - places in sorted lists, by halving (search.h).
 *
 * dispatch   LANES elements of x a workgroup
 */
#include "kiln.glsl"
#include "search.h"
#include "../order/key.glsl"

KILN_CONSTANT(0, CODE);
KILN_CONSTANT(1, RIGHT);

KILN_IN_ANY(0, list);
KILN_IN_ANY(1, x);
KILN_OUT(2, uint, y);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.rows * p.cols)
        return;

    const uint first = p.lists == 1u ? 0u : KILN_DIVIDE(e, cols) * p.entries;
    const uint bits = KILN_LOAD(1, x, e), wanted = kiln_key(CODE, bits, false);
    uint low = 0, high = p.entries;
    while (low < high) {
        const uint middle = (low + high) / 2u, there = KILN_LOAD(0, list, first + middle);
        const uint key = kiln_key(CODE, there, false);
        if (key < wanted || (RIGHT != 0u && key == wanted))
            low = middle + 1u;
        else
            high = middle;
    }
    y[e] = low;
}
