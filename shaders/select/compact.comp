#version 450
/*
 * compact - where the elements that count stand, one behind the other (compact.h).
 *
 * dispatch   LANES elements a workgroup
 */
#include "kiln.glsl"
#include "compact.h"

KILN_IN(0, uint, ranks);
KILN_OUT(1, uint, places);
KILN_OUT(2, uint, count);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.elements)
        return;

    const uint rank = ranks[e], before = e > 0u ? ranks[e - 1u] : 0u;
    if (e == p.elements - 1u)
        count[0] = min(rank, p.bound);
    if (rank == before || before >= p.bound)
        return;
    uint rest = e;
    for (uint a = p.axes; a-- > 0u;) {
        const uint outer = kiln_divide(rest, p.multiplier[a], p.shift[a]);
        places[before * p.axes + a] = rest - outer * p.size[a];
        rest = outer;
    }
}
