#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * split_sum - y[i] = epilogue(sum over s of x[s * part + i]), in the order of s; four loads are on their way together.
 *
 * bindings   0: x in    1: y out    2, 3: operands of the epilogue
 * dispatch   an invocation an element
 */
#include "kiln.glsl"
#include "split_sum.h"
#define KILN_EPILOGUE_SLOT0 2
#define KILN_EPILOGUE_SLOT1 3
#include "epilogue.glsl"

KILN_IN_ANY(0, x);
KILN_OUT_ANY(1, y);

void main()
{
    KILN_GROUP(group);
    const uint i = group * LANES + LANE;
    if (i >= p.count)
        return;
    float sum = 0.0;
    uint s = 0u;
    for (; s + 4u <= p.splits; s += 4u) {
        uint bits[4];
        [[unroll]] for (uint e = 0u; e < 4u; e++)
            bits[e] = KILN_LOAD(0, x, (s + e) * p.part + i);
        [[unroll]] for (uint e = 0u; e < 4u; e++)
            sum += uintBitsToFloat(bits[e]);
    }
    for (; s < p.splits; s++)
        sum += uintBitsToFloat(KILN_LOAD(0, x, s * p.part + i));
    KILN_SAVE(1, y, i, kiln_epilogue(sum, i, i / p.row_length % p.rows, i / p.column_length % p.columns));
}
