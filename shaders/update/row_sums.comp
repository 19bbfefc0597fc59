#version 450
/*
 * row_sums - the sum of each row's gradients' squares, or how many are infinite or NaN (row_sums.h).
 *
 * bindings   0: table in    1: gradients in    2: y out, a sum a row    3: scalars in (else anything)
 * dispatch   one workgroup a row of the table
 * numerics   each lane sums every LANES-th element in float, then a tree over the lanes: one order everywhere. A count is of at
 *            most KILN_UPDATE_BLOCK, and exact
 */
#include "kiln.glsl"
#include "group.glsl"
#include "row_sums.h"

KILN_CONSTANT(0, MEASURE);
KILN_CONSTANT(1, CLIPPED);
KILN_CONSTANT(2, GUARDED);
KILN_IN(0, uint, table);
KILN_IN(1, float, gradients);
KILN_OUT(2, float, y);
KILN_IN(3, float, scalars);

/* By the bits: drivers may assume that there is no such number. */
bool is_infinite(float g) { return (floatBitsToUint(g) & KILN_INFINITY_BITS) == KILN_INFINITY_BITS; }

void main()
{
    KILN_GROUP(group);
    const uint row = group * KILN_ROW_WORDS, count = table[row + KILN_ROW_COUNT];
    const uint from = table[row + KILN_ROW_GRADIENT];
    float total = 0.0;
    for (uint i = LANE; i < count; i += LANES) {
        float g = gradients[from + i];
        if (MEASURE == KILN_ROW_INFINITE) {
            total += is_infinite(g) ? 1.0 : 0.0;
            continue;
        }
        if (GUARDED != 0)
            g *= scalars[KILN_SCALAR_UNSCALE];
        if (CLIPPED != 0)
            g = kiln_max(kiln_min(g, p.clip), -p.clip);
        total += g * g;
    }
    total = kiln_group_sum(total);
    if (LANE == 0)
        y[p.first + group] = total;
}
