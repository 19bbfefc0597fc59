#version 450
/*
 * grid_sample - x at the places of a grid (grid.h).
 *
 * bindings   0: x in    1: grid in    2: y out
 * dispatch   LANES elements of y a workgroup
 * numerics   sums in float
 */
#include "kiln.glsl"
#include "grid.h"
#include "grid.glsl"

KILN_IN_ANY(0, x);
KILN_IN_ANY(1, grid);
KILN_OUT_ANY(2, y);

float coordinate(uint at) { return uintBitsToFloat(KILN_LOAD(1, grid, at)); }

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.results)
        return;

    const uint plane = KILN_DIVIDE(e, places), n = KILN_DIVIDE(plane, channels);
    const uint place = p.grid_first + (n * p.places + e - plane * p.places) * AXES;
    const kiln_taps j = taps_of(coordinate(place), p.w), i = taps_of(coordinate(place + 1u), p.h);
    kiln_taps a = kiln_taps(ivec4(0), vec4(1.0), vec4(0.0));
    if (VOLUME)
        a = taps_of(coordinate(place + 2u), p.d);

    const uint from = p.x_first + plane * p.d * p.h * p.w;
    float sum = 0.0;
    for (uint s = 0; s < (VOLUME ? TAPS : 1u); s++)
        for (uint t = 0; t < TAPS; t++)
            for (uint u = 0; u < TAPS; u++) {
                if (a.at[s] < 0 || i.at[t] < 0 || j.at[u] < 0)
                    continue;
                const uint at = from + (uint(a.at[s]) * p.h + uint(i.at[t])) * p.w + uint(j.at[u]);
                sum += a.weight[s] * i.weight[t] * j.weight[u] * uintBitsToFloat(KILN_LOAD(0, x, at));
            }
    KILN_SAVE(2, y, p.y_first + e, floatBitsToUint(sum));
}
