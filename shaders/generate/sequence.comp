#version 450
/*
 * sequence - y[i] = start + i * delta (sequence.h).
 *
 * dispatch   LANES elements a workgroup
 */
#include "kiln.glsl"
#include "sequence.h"

KILN_CONSTANT(0, REALS);

KILN_OUT_ANY(0, y);

void main()
{
    KILN_GROUP(group);
    const uint i = group * LANES + LANE;
    if (i >= p.count)
        return;
    uint bits = p.whole_start + i * p.whole_delta;
    if (REALS != 0u)
        bits = floatBitsToUint(p.start + float(i) * p.delta);
    KILN_SAVE(0, y, i, bits);
}
