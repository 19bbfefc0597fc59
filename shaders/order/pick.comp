#version 450
/*
 * order_pick - values and positions from sorted pairs (pick.h).
 *
 * dispatch   LANES results a workgroup, in the order of the pairs
 */
#include "kiln.glsl"
#include "pick.h"

KILN_IN_ANY(0, x);
KILN_IN(1, uvec2, pairs);
KILN_OUT_ANY(2, values);
KILN_OUT(3, uint, positions);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.rows * p.keep)
        return;

    const uint row = KILN_DIVIDE(e, keep), place = e - row * p.keep, block = KILN_DIVIDE(row, step);
    const uint position = pairs[row * p.cols + place].y;
    const uint bits = KILN_LOAD(0, x, block * (p.x_cols - 1u) * p.step + row + position * p.step);
    const uint to = block * (p.keep - 1u) * p.step + row + place * p.step;
    KILN_SAVE(2, values, to, bits);
    positions[to] = position;
}
