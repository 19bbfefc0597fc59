#version 450
/*
 * border - an axis that goes on beyond its ends (border.h).
 *
 * bindings   0: x in    1: y out
 * dispatch   LANES elements of y a workgroup
 */
#include "kiln.glsl"
#include "border.h"
#include "border.glsl"

KILN_IN(0, WORD, x);
KILN_OUT(1, WORD, y);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.outer * p.rows * p.inner)
        return;
    const uint line = KILN_DIVIDE(e, inner), o = KILN_DIVIDE(line, rows);
    const uint from = (p.first_outer + o) * p.other + row_at(line - o * p.rows, p.other);
    y[p.write_first + p.first_outer * p.rows * p.inner + e] = x[p.read_first + from * p.inner + e - line * p.inner];
}
