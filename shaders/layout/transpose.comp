#version 450
/*
 * transpose - copy, where y is dense along the last axis and x along the one before: tiles of 32 x 32 through
 * shared memory, so that both sides are walked along their dense axis.
 *
 * bindings   0: x in    1: y out, apart from x
 * dispatch   one workgroup a tile: tiles along the last axis, then along the one before, then the outer axes
 */
#include "kiln.glsl"
#include "copy.h"

KILN_CONSTANT(1, RANK);
KILN_IN(0, WORD, x);
KILN_OUT(1, WORD, y);

const uint TILE = 32;
shared uint tile[TILE][TILE + 1];   /* one more, so that a column's elements lie in different banks */

void main()
{
    KILN_GROUP(group);
    const uint rows = p.size[RANK - 2], columns = p.size[RANK - 1];
    const uint across = (columns + TILE - 1) / TILE, down = (rows + TILE - 1) / TILE;
    const uint column = group % across * TILE, row = group / across % down * TILE;

    uint rest = group / across / down, from = p.x_start, to = p.y_start;
    for (uint a = RANK - 2; a > 0; a--) {
        const uint outer = kiln_divide(rest, p.multiplier[a - 1], (p.shifts >> (5 * (a - 1))) & 31);
        const uint i = rest - outer * p.size[a - 1];
        from += i * p.x_step[a - 1];
        to += i * p.y_step[a - 1];
        rest = outer;
    }

    const uint i = LANE % TILE;
    for (uint k = LANE / TILE; k < TILE; k += LANES / TILE)
        if (row + i < rows && column + k < columns)
            tile[i][k] = uint(x[from + row + i + (column + k) * p.x_step[RANK - 1]]);
    barrier();
    for (uint k = LANE / TILE; k < TILE; k += LANES / TILE)
        if (row + k < rows && column + i < columns)
            y[to + (row + k) * p.y_step[RANK - 2] + column + i] = WORD(tile[k][i]);
}
