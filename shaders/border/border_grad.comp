#version 450
/*
 * border_grad - what comes back to an axis that went on beyond its ends (border.h).
 *
 * bindings   0: dy in    1: dx out
 * dispatch   LANES elements of dx a workgroup
 * numerics   sums in float, in the order that border.h states
 */
#include "kiln.glsl"
#include "border.h"

KILN_CONSTANT(0, BORDER);

KILN_IN(0, T, dy);
KILN_OUT(1, T, dx);

/* The sum over rows first, first + step, .. of dy; row 0 is at `base`. */
float sum_of(uint base, uint first, uint end, uint step)
{
    float sum = 0.0;
    for (uint row = first; row < end; row += step)
        sum += float(dy[base + row * p.inner]);
    return sum;
}

/* Where an end is repeated, of row i. */
float sum_of_edge(uint base, uint i)
{
    return sum_of(base, i == 0u ? 0u : p.before + i, i + 1u == p.rows ? p.other : p.before + i + 1u, 1u);
}

float sum_of_periods(uint base, uint i)
{
    const bool reflects = BORDER == KILN_BORDER_CODE_REFLECT, wraps = BORDER == KILN_BORDER_CODE_WRAP;
    const uint period = wraps ? p.rows : reflects ? max(2u * p.rows - 2u, 1u) : 2u * p.rows;
    const float along = sum_of(base, (p.before + i) % period, p.other, period);
    if (wraps || (reflects && (i == 0u || i + 1u == p.rows)))
        return along;
    const uint against = p.before % period + 2u * period - i - (reflects ? 0u : 1u);
    return along + sum_of(base, against % period, p.other, period);
}

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.outer * p.rows * p.inner)
        return;
    const uint line = KILN_DIVIDE(e, inner), o = KILN_DIVIDE(line, rows), i = line - o * p.rows;
    const uint base = p.read_first + (p.first_outer + o) * p.other * p.inner + e - line * p.inner;
    const float sum = BORDER == KILN_BORDER_CODE_EDGE ? sum_of_edge(base, i) : sum_of_periods(base, i);
    dx[p.write_first + p.first_outer * p.rows * p.inner + e] = T(sum);
}
