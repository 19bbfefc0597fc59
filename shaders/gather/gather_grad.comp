#version 450
/*
 * gather_grad - dx[o, r, i] = sum over j with at(index[j]) = r of dy[o, j, i].
 *
 * bindings   0: dy in    1: index in    2: dx out
 * dispatch   one workgroup a row (o, r) of dx. It looks at LANES indices at a time; where some name its row,
 *            its lanes add those rows of dy, in order, to the elements that each lane owns
 * numerics   sums in float, in the order of j on every device
 */
#include "kiln.glsl"
#include "gather.h"

KILN_IN(0, float, dy);
KILN_IN(1, int, index);
KILN_INOUT(2, float, dx);

shared uint hits[LANES / 32];           /* a bit an index of those looked at */

bool names_row(uint j, uint row)
{
    if (j >= p.count)
        return false;
    const int at = index[j];
    return clamp(at < 0 ? at + int(p.rows) : at, 0, int(p.rows) - 1) == int(row);
}

void add_row(uint from, uint to)
{
    for (uint i = LANE; i < p.inner; i += LANES)
        dx[to + i] += dy[from + i];
}

void main()
{
    KILN_GROUP(group);
    const uint o = group / p.rows, row = group - o * p.rows, to = group * p.inner;
    for (uint i = LANE; i < p.inner; i += LANES)
        dx[to + i] = 0.0;

    for (uint first = 0; first < p.count; first += LANES) {
        if (LANE < LANES / 32)
            hits[LANE] = 0;
        barrier();
        if (names_row(first + LANE, row))
            atomicOr(hits[LANE / 32], 1u << (LANE % 32));
        barrier();
        for (uint word = 0; word < LANES / 32; word++)
            for (uint left = hits[word]; left != 0; left &= left - 1)
                add_row((o * p.count + first + word * 32 + uint(findLSB(left))) * p.inner, to);
        barrier();
    }
}
