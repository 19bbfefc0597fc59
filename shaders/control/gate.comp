#version 450
/*
 * gate - the numbers of workgroups of a region's dispatches, or zeros. See gate.h.
 *
 * bindings   0: flag in    1: outer table in, if nested    2: full table in    3: live table out
 * dispatch   LANES words a workgroup
 */
#include "kiln.glsl"
#include "gate.h"

KILN_IN(0, uint, flag);
KILN_IN(1, uint, outer);
KILN_IN(2, uint, full);
KILN_OUT(3, uint, live);

void main()
{
    KILN_GROUP(group);
    const uint i = group * LANES + LANE;
    if (i >= p.count)
        return;
    const bool open = flag[0] != 0u && (p.nested == 0u || outer[0] != 0u);
    live[i] = open ? full[i] : 0u;
}
