#version 450
/*
 * grid_taps - which elements of x have a part at the places of a grid, and what part (grid.h).
 *
 * bindings   0: grid in    1: at out    2: w out
 * dispatch   LANES places a workgroup
 */
#include "kiln.glsl"
#include "grid.h"
#include "grid.glsl"

KILN_IN_ANY(0, grid);
KILN_OUT(1, uint, at);
KILN_OUT(2, float, weight);

float coordinate(uint at) { return uintBitsToFloat(KILN_LOAD(0, grid, at)); }

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.results)
        return;

    const uint n = p.first + KILN_DIVIDE(e, places), place = p.grid_first + e * AXES;
    const kiln_taps j = taps_of(coordinate(place), p.w), i = taps_of(coordinate(place + 1u), p.h);
    kiln_taps a = kiln_taps(ivec4(0), vec4(1.0), vec4(0.0));
    if (VOLUME)
        a = taps_of(coordinate(place + 2u), p.d);

    uint k = e * TAPS * TAPS * (VOLUME ? TAPS : 1u);
    for (uint s = 0; s < (VOLUME ? TAPS : 1u); s++)
        for (uint t = 0; t < TAPS; t++)
            for (uint u = 0; u < TAPS; u++, k++) {
                const bool there = a.at[s] >= 0 && i.at[t] >= 0 && j.at[u] >= 0;
                const uint found = ((n * p.d + uint(a.at[s])) * p.h + uint(i.at[t])) * p.w + uint(j.at[u]);
                at[p.out_first + k] = there ? found : KILN_GRID_NOWHERE;
                weight[p.y_first + k] = there ? a.weight[s] * i.weight[t] * j.weight[u] : 0.0;
            }
}
