#version 450
/*
 * scatter_distinct - scatter where no two of a list name one row: an element of u a lane, straight to its place (scatter.h).
 *
 * dispatch   LANES elements of u a workgroup
 */
#include "scatter.glsl"

KILN_IN(0, int, index);
KILN_IN_ANY(1, u);
#ifdef HALF
KILN_INOUT(2, float16_t, y_half);
#endif
KILN_INOUT(2, uint, y);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.outer * p.count * p.inner)
        return;

    const uint line = KILN_DIVIDE(e, inner), i = e - line * p.inner;
    const uint o = KILN_DIVIDE(line, count), j = line - o * p.count;
    const uint row = row_of(index[index_of(o, j, i)]);
    if (row >= p.shown)
        return;
    const uint to = (o * p.shown + row) * p.inner + i, value = KILN_LOAD(1, u, e);
    uint bits = value;
    if (CODE != KILN_MEET_SET)
        bits = meet(KILN_LOAD(2, y, to), value);
    KILN_SAVE(2, y, to, bits);
}
