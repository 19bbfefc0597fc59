#version 450
/*
 * unique_counts - how long the runs are, from where they end (unique.h).
 *
 * dispatch   LANES runs a workgroup
 */
#include "kiln.glsl"
#include "unique.h"

KILN_IN(0, uint, places);
KILN_OUT(1, uint, counts);

void main()
{
    KILN_GROUP(group);
    const uint run = group * LANES + LANE;
    if (run < p.rows)
        counts[run] = places[2u * p.rows + run] - (run > 0u ? places[2u * p.rows + run - 1u] : 0u);
}
