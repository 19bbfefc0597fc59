#version 450
/*
 * square_sums - the sum of squares of each row's gradients.
 *
 * bindings   0: table in    1: gradients in    2: y out, a sum a row
 * dispatch   one workgroup a row of the table
 * numerics   each lane sums every LANES-th element in float, then a tree over the lanes: one order everywhere
 */
#include "kiln.glsl"
#include "group.glsl"
#include "square_sums.h"

KILN_CONSTANT(0, CLIPPED);
KILN_IN(0, uint, table);
KILN_IN(1, float, gradients);
KILN_OUT(2, float, y);

void main()
{
    KILN_GROUP(group);
    const uint row = group * KILN_ROW_WORDS, count = table[row + KILN_ROW_COUNT];
    const uint from = table[row + KILN_ROW_GRADIENT];
    float total = 0.0;
    for (uint i = LANE; i < count; i += LANES) {
        float g = gradients[from + i];
        if (CLIPPED != 0)
            g = kiln_max(kiln_min(g, p.clip), -p.clip);
        total += g * g;
    }
    total = kiln_group_sum(total);
    if (LANE == 0)
        y[p.first + group] = total;
}
