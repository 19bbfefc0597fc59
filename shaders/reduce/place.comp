#version 450
/*
 * place - dx[o, a, k, b, i] = a * second + b == at[o, k, i] ? dy[o, k, i] : 0
 *
 * bindings   0: dy    1: at    2: dx
 * dispatch   an invocation computes an element
 */
#include "kiln.glsl"
#include "place.h"

KILN_IN(0, WORD, dy);
KILN_IN(1, uint, at);
KILN_OUT(2, WORD, dx);

void main()
{
    KILN_GROUP(group);
    const uint lane = group * LANES + LANE, e = p.begin + lane;
    if (lane >= p.elements)
        return;
    const uint row = KILN_DIVIDE(e, inner), i = e - row * p.inner;
    const uint above = KILN_DIVIDE(row, second), b = row - above * p.second;
    const uint pair = KILN_DIVIDE(above, kept), k = above - pair * p.kept;
    const uint o = KILN_DIVIDE(pair, first), a = pair - o * p.first;
    const uint result = p.result_first + (o * p.kept + k) * p.inner + i;
    dx[p.dx_first + e] = WORD(a * p.second + b == at[result] ? uint(dy[result]) : 0u);
}
