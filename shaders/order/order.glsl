/* order.glsl - the candidates of order, and where its results go (order.h). */
#include "kiln.glsl"
#include "order.h"
#include "key.glsl"

KILN_CONSTANT(0, CODE);

KILN_IN_ANY(0, x);
KILN_IN(1, uvec2, given);
KILN_OUT_ANY(2, values);
KILN_OUT(3, uint, positions);
KILN_OUT(4, uvec2, found);

uint row_start(uint row, uint cols) { return row / p.step * cols * p.step + row % p.step; }

/* The key of candidate c of a row. */
uint key_at(uint row, uint c)
{
    if ((p.mode & KILN_ORDER_GIVEN) != 0u)
        return given[row * p.cols + c].x;
    return kiln_key(CODE, KILN_LOAD(0, x, row_start(row, p.x_cols) + c * p.step), p.descending != 0u);
}

/* Candidate c, whose key this is, is the place-th of its row's results. */
void put(uint row, uint place, uint c, uint key)
{
    const uint position = (p.mode & KILN_ORDER_GIVEN) != 0u ? given[row * p.cols + c].y : c;
    if ((p.mode & KILN_ORDER_PAIRS) != 0u) {
        found[row * p.kept + place] = uvec2(key, position);
        return;
    }
    const uint to = row_start(row, p.kept) + place * p.step;
    const uint bits = KILN_LOAD(0, x, row_start(row, p.x_cols) + position * p.step);
    KILN_SAVE(2, values, to, bits);
    positions[to] = position;
}
