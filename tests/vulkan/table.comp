#version 450
/* table - y[i] = table[i % 32] + bias[i], the table in a block too large to be pushed, the bias optional. */
#include "kiln.glsl"

KILN_PARAMS(table) {
    KILN_QUADS(table, 8);
    uint count;
} KILN_END_UNIFORM;

KILN_CONSTANT(0, BIASED);
KILN_IN(0, uint, bias);
KILN_OUT(1, uint, y);

void main()
{
    KILN_GROUP(group);
    const uint i = group * LANES + LANE;
    if (i < p.count)
        y[i] = KILN_WORD(p.table, i % 32u) + (BIASED != 0u ? bias[i] : 0u);
}
