#version 450
/*
 * grid_sample_grad - how y changes with the places of a grid (grid.h).
 *
 * bindings   0: x in    1: grid in    2: dgrid out    3: dy in
 * dispatch   LANES places a workgroup
 * numerics   sums in float: over the channels, then over the taps
 */
#include "kiln.glsl"
#include "grid.h"
#include "grid.glsl"

KILN_IN_ANY(0, x);
KILN_IN_ANY(1, grid);
KILN_OUT_ANY(2, dgrid);
KILN_IN_ANY(3, dy);

float coordinate(uint at) { return uintBitsToFloat(KILN_LOAD(1, grid, at)); }

/* The sum over the channels of dy at a place times x at an element. */
float product(uint pull, uint from)
{
    float sum = 0.0;
    for (uint c = 0; c < p.channels; c++)
        sum += uintBitsToFloat(KILN_LOAD(3, dy, pull + c * p.places)) *
               uintBitsToFloat(KILN_LOAD(0, x, from + c * p.d * p.h * p.w));
    return sum;
}

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.results)
        return;

    const uint n = KILN_DIVIDE(e, places), place = p.grid_first + e * AXES;
    const kiln_taps j = taps_of(coordinate(place), p.w), i = taps_of(coordinate(place + 1u), p.h);
    kiln_taps a = kiln_taps(ivec4(0), vec4(1.0), vec4(0.0));
    if (VOLUME)
        a = taps_of(coordinate(place + 2u), p.d);

    const uint from = p.x_first + n * p.channels * p.d * p.h * p.w;
    const uint pull = p.y_first + n * p.channels * p.places + e - n * p.places;
    vec3 sum = vec3(0.0);
    for (uint s = 0; s < (VOLUME ? TAPS : 1u); s++)
        for (uint t = 0; t < TAPS; t++)
            for (uint u = 0; u < TAPS; u++) {
                if (a.at[s] < 0 || i.at[t] < 0 || j.at[u] < 0)
                    continue;
                const float value = product(pull, from + (uint(a.at[s]) * p.h + uint(i.at[t])) * p.w + uint(j.at[u]));
                sum.x += a.weight[s] * i.weight[t] * j.slope[u] * value;
                sum.y += a.weight[s] * i.slope[t] * j.weight[u] * value;
                sum.z += a.slope[s] * i.weight[t] * j.weight[u] * value;
            }
    for (uint k = 0; k < AXES; k++) {
        KILN_SAVE(2, dgrid, p.out_first + e * AXES + k, floatBitsToUint(sum[k]));
    }
}
