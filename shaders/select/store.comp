#version 450
/*
 * unique_store - what each run of equal rows is (unique.h).
 *
 * dispatch   LANES rows a workgroup
 */
#include "kiln.glsl"
#include "unique.h"

KILN_CONSTANT(1, BOUNDED);

KILN_IN_ANY(0, x);
KILN_IN(1, uint, order);
KILN_IN(2, int, there);
KILN_IN(3, uint, ranks);
KILN_OUT_ANY(4, values);
KILN_OUT(5, uint, places);
KILN_OUT(6, uint, count);

void main()
{
    KILN_GROUP(group);
    const uint s = group * LANES + LANE;
    if (s >= p.rows)
        return;

    const uint rank = ranks[s], before = s > 0u ? ranks[s - 1u] : 0u, run = max(rank, 1u) - 1u, row = order[s];
    const uint all = BOUNDED != 0u ? uint(clamp(there[0], 0, int(p.rows))) : p.rows;
    places[p.rows + row] = run;
    if (s == p.rows - 1u)
        count[0] = rank;
    if (rank != before) {
        places[run] = row;
        for (uint c = 0; c < p.cols; c++) {
            const uint bits = KILN_LOAD(0, x, row * p.cols + c);
            KILN_SAVE(4, values, run * p.cols + c, bits);
        }
    }
    const uint next = s + 1u < p.rows ? ranks[s + 1u] : rank + 1u;
    if (s < all && (s + 1u == all || next != rank))
        places[2u * p.rows + run] = s + 1u;
}
