#version 450
/*
 * scatter_sorted - scatter by sorted lists: an element of y a lane, which goes through its row's run, in order (scatter.h).
 *
 * dispatch   LANES elements of y a workgroup
 */
#include "scatter.glsl"

KILN_IN_ANY(0, base);
KILN_IN(1, uvec2, pairs);
KILN_IN(2, uint, marks);
KILN_IN_ANY(3, u);
KILN_IN(4, uint, sums);
KILN_OUT_ANY(5, y);

/* Whether pair s begins a part of this row alone. */
bool begins_part(uint begin, uint s, uint key)
{
    return SUMMED != 0u && s % KILN_SCATTER_PART == 0u && s + KILN_SCATTER_PART <= p.count &&
           pairs[begin + s + KILN_SCATTER_PART - 1u].x == key;
}

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.outer * p.shown * p.inner)
        return;

    const uint line = KILN_DIVIDE(e, inner), i = e - line * p.inner;
    const uint o = KILN_DIVIDE(line, shown), row = line - o * p.shown, key = p.first + row;
    const uint list = list_of(o, i), begin = list * p.count, parts = p.count / KILN_SCATTER_PART;
    uint value = 0;
    if (BASED != 0u)
        value = KILN_LOAD(0, base, e);
    for (uint s = marks[list * p.shown + row]; s < p.count && pairs[begin + s].x == key;) {
        if (begins_part(begin, s, key)) {
            value = meet(value, sums[(o * parts + s / KILN_SCATTER_PART) * p.inner + i]);
            s += KILN_SCATTER_PART;
        } else {
            value = meet(value, KILN_LOAD(3, u, (o * p.count + pairs[begin + s].y) * p.inner + i));
            s++;
        }
    }
    KILN_SAVE(5, y, e, value);
}
