#version 450
/*
 * gather - y[o, j, i] = x[o, at(index), i], an element a lane (gather.h).
 *
 * dispatch   LANES elements of y a workgroup
 */
#include "kiln.glsl"
#include "gather.h"

KILN_CONSTANT(1, FULL);

KILN_IN(0, WORD, x);
KILN_IN(1, int, index);
KILN_OUT(2, WORD, y);

const int NOWHERE = int(0x80000000u);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.outer * p.count * p.inner)
        return;

    const uint row = KILN_DIVIDE(e, inner), o = KILN_DIVIDE(row, count);
    const uint list = KILN_DIVIDE(o, share), j = row - o * p.count;
    const int given = index[FULL != 0u ? e : list * p.count + j];
    if (given == NOWHERE) {
        y[e] = WORD(0);
        return;
    }
    const int at = clamp(given < 0 ? given + int(p.rows) : given, 0, int(p.rows) - 1);
    const uint shown = uint(at) - p.first;
    if (shown < p.shown)
        y[e] = x[(o * p.shown + shown) * p.inner + e - row * p.inner];
}
