#version 450
/*
 * pool - the largest, the mean or the sum of each window, and where the largest stands (pool.h).
 *
 * bindings   0: x in    1: y out    2: index out
 * dispatch   LANES elements of y a workgroup
 * numerics   the largest is exact; a mean sums in float, element by element
 */
#include "kiln.glsl"
#include "pool.h"
#include "pool.glsl"

KILN_IN(0, T, x);
KILN_OUT(1, T, y);
KILN_OUT(2, uint, index);

float peak, total;
uint place;

/* The elements of one row of the window that begins at element `row` of its binding. */
void take_row(uint a, uint i, kiln_span s, uint row)
{
    for (uint k = 0; k < s.count; k++) {
        const uint j = s.first + k * s.step;
        const float value = float(x[row + j]);
        if (place == KILN_POOL_NOWHERE || (!kiln_is_nan(peak) && (kiln_is_nan(value) || value > peak))) {
            peak = value;
            place = INDEXED ? index_of(a, i, j) : 0u;
        }
        total += value;
    }
}

void main()
{
    KILN_GROUP(group);
    const uint lane = group * LANES + LANE;
    if (lane >= p.results)
        return;

    const uint e = p.first + lane, row = KILN_DIVIDE(e, ow), slice = KILN_DIVIDE(row, oh);
    const uint plane = VOLUME ? KILN_DIVIDE(slice, od) : slice;
    const kiln_span a = window_a(slice - plane * p.od), i = window_i(row - slice * p.oh), j = window_j(e - row * p.ow);
    peak = KILN_MINUS_INFINITY;
    total = 0.0;
    place = KILN_POOL_NOWHERE;
    for (uint s = 0; s < a.count; s++)
        for (uint t = 0; t < i.count; t++) {
            const uint at_a = a.first + s * a.step, at_i = i.first + t * i.step;
            take_row(at_a, at_i, j, p.x_first + plane * (VOLUME ? p.d * p.h : p.h) * p.w + place_of(at_a, at_i, 0u));
        }

    const float divisor = MODE == KILN_POOL_SUM ? 1.0 : float(a.counted * i.counted * j.counted);
    if ((FLAGS & KILN_POOL_INDEX_ALONE) == 0u)
        y[p.y_first + e] = T(MODE == KILN_POOL_MAX ? peak : total / divisor);
    if (INDEXED)
        index[p.y_first + e] = place;
}
