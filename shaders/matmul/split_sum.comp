#version 450
/*
 * split_sum - y[i] = epilogue(sum over s of x[s * part + i]), in the order of s.
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
    for (uint s = 0; s < p.splits; s++)
        sum += uintBitsToFloat(KILN_LOAD(0, x, s * p.part + i));
    KILN_SAVE(1, y, i, kiln_epilogue(sum, i, i / p.row_length % p.rows, i / p.column_length % p.columns));
}
