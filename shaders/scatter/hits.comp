#version 450
/*
 * hits - scatter for short lists of wide rows: it looks at LANES indices at a time, and where some name its row, its lanes
 * combine those rows of u, in order, with the elements that each lane owns. Not for full lists.
 *
 * dispatch   one workgroup a row (o, r) of y
 */
#include "scatter.glsl"

KILN_IN_ANY(0, base);
KILN_IN(1, int, index);
KILN_IN_ANY(2, u);
KILN_OUT_ANY(3, y);

const uint EACH = 4u;                   /* elements that a lane owns at a time */
shared uint hits[LANES / 32];           /* a bit an index of those looked at */

uint value[EACH];

void combine_row(uint from, uint first)
{
    for (uint n = 0; n < EACH; n++) {
        const uint i = first + n * LANES + LANE;
        if (i < p.inner)
            value[n] = meet(value[n], KILN_LOAD(2, u, from + i));
    }
}

void combine_list(uint o, uint row, uint first)
{
    for (uint begin = 0; begin < p.count; begin += LANES) {
        if (LANE < LANES / 32u)
            hits[LANE] = 0u;
        barrier();
        const uint j = begin + LANE;
        if (j < p.count && row_of(index[index_of(o, j, 0u)]) == row)
            atomicOr(hits[LANE / 32u], 1u << (LANE % 32u));
        barrier();
        for (uint word = 0; word < LANES / 32u; word++)
            for (uint left = hits[word]; left != 0u; left &= left - 1u)
                combine_row((o * p.count + begin + word * 32u + uint(findLSB(left))) * p.inner, first);
        barrier();
    }
}

void main()
{
    KILN_GROUP(line);
    const uint o = KILN_DIVIDE(line, shown), row = line - o * p.shown, to = line * p.inner;
    for (uint first = 0; first < p.inner; first += EACH * LANES) {
        for (uint n = 0; n < EACH; n++) {
            const uint i = first + n * LANES + LANE;
            value[n] = 0u;
            if (p.based != 0u && i < p.inner)
                value[n] = KILN_LOAD(0, base, to + i);
        }
        combine_list(o, row, first);
        for (uint n = 0; n < EACH; n++) {
            const uint i = first + n * LANES + LANE;
            if (i < p.inner) {
                KILN_SAVE(3, y, to + i, value[n]);
            }
        }
    }
}
