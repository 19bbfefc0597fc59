#version 450
/*
 * order_keys - the pairs that the passes of a radix sort move: a key and where it came from (keys.h).
 *
 * dispatch   LANES elements a workgroup, in the order of the pairs
 */
#include "kiln.glsl"
#include "keys.h"
#include "key.glsl"

KILN_CONSTANT(0, CODE);

KILN_IN_ANY(0, x);
KILN_OUT(1, uvec2, pairs);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.rows * p.cols)
        return;

    const uint row = KILN_DIVIDE(e, cols), position = e - row * p.cols, block = KILN_DIVIDE(row, step);
    const uint bits = KILN_LOAD(0, x, block * (p.cols - 1u) * p.step + row + position * p.step);
    const uint key =
        CODE == KILN_KEY_INDEX ? kiln_key_of_index(bits, p.range) : kiln_key(CODE, bits, p.descending != 0u);
    pairs[e] = uvec2(key, position);
}
