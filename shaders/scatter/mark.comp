#version 450
/*
 * scatter_mark - where in a sorted list each row begins, for SET where it ends (scatter.h).
 *
 * dispatch   LANES pairs a workgroup; a lane writes where its pair's neighbour is another row's
 */
#include "scatter.glsl"

KILN_IN(0, uvec2, pairs);
KILN_OUT(1, uint, marks);

void main()
{
    KILN_GROUP(group);
    const uint n = group * LANES + LANE;
    const uint lists = FULL != 0u ? p.outer * p.inner : KILN_DIVIDE(p.outer, share);
    if (n >= lists * p.count)
        return;

    const uint list = KILN_DIVIDE(n, count), s = n - list * p.count, key = pairs[n].x, row = key - p.first;
    const bool ends = s == p.count - 1u || pairs[n + 1u].x != key;
    const bool begins = s == 0u || pairs[n - 1u].x != key;
    if (row < p.shown && (CODE == KILN_MEET_SET ? ends : begins))
        marks[list * p.shown + row] = s;
}
