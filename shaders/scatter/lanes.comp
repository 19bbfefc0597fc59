#version 450
/*
 * lanes - scatter for short lists: an element of y a lane, which goes through its list.
 *
 * dispatch   LANES elements of y a workgroup
 */
#include "scatter.glsl"

KILN_IN_ANY(0, base);
KILN_IN(1, int, index);
KILN_IN_ANY(2, u);
KILN_OUT_ANY(3, y);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.outer * p.shown * p.inner)
        return;

    const uint line = KILN_DIVIDE(e, inner), i = e - line * p.inner;
    const uint o = KILN_DIVIDE(line, shown), row = line - o * p.shown;
    uint value = 0;
    if (p.based != 0u)
        value = KILN_LOAD(0, base, e);
    for (uint j = 0; j < p.count; j++)
        if (row_of(index[index_of(o, j, i)]) == row)
            value = meet(value, KILN_LOAD(2, u, (o * p.count + j) * p.inner + i));
    KILN_SAVE(3, y, e, value);
}
