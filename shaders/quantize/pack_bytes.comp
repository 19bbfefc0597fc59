#version 450
/*
 * pack_bytes - the low bytes of words, four to a word along one axis (pack_bytes.h).
 *
 * bindings   0: x in    1: y out
 * dispatch   an invocation a word of y
 */
#include "kiln.glsl"
#include "pack_bytes.h"

KILN_CONSTANT(0, QUADS_LAST);

KILN_IN(0, uint, x);
KILN_OUT(1, uint, y);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.words)
        return;
    const uint above = KILN_DIVIDE(e, second), s = e - above * p.second;
    const uint batch = KILN_DIVIDE(above, first), f = above - batch * p.first;
    const uint row = QUADS_LAST != 0u ? f : s, quad = QUADS_LAST != 0u ? s : f;
    const uint at = batch * p.x_batch + row * p.x_row + 4u * quad * p.x_depth;
    uint word = 0u;
    for (uint j = 0u; j < 4u && 4u * quad + j < p.depth; j++)
        word |= ((x[at + j * p.x_depth] ^ p.flip) & 0xffu) << 8u * j;
    y[e] = word;
}
