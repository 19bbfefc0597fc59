#version 450
/*
 * moments_merge - one mean and variance of those of parts
 *
 * bindings   0: part_mean    1: m2    2: mean    3: variance
 * dispatch   a lane a result
 * numerics   means are summed as differences from the first part's
 */
#include "kiln.glsl"
#include "merge.h"

KILN_IN(0, float, part_mean);
KILN_IN(1, float, m2);
KILN_OUT_ANY(2, mean);
KILN_OUT_ANY(3, variance);

float count_of(uint s) { return float(min(p.part_length, p.count - s * p.part_length)); }

void main()
{
    KILN_GROUP(group);
    const uint r = group * LANES + LANE;
    if (r >= p.results)
        return;
    const float near = part_mean[r], count = float(p.count);
    float sum = 0.0;
    for (uint s = 1u; s < p.parts; s++)
        sum += count_of(s) * (part_mean[s * p.results + r] - near);
    const float middle = near + sum / count;
    float squares = 0.0;
    for (uint s = 0u; s < p.parts; s++) {
        const float d = part_mean[s * p.results + r] - middle;
        squares += m2[s * p.results + r] + count_of(s) * d * d;
    }
    KILN_SAVE(2, mean, r, floatBitsToUint(middle));
    KILN_SAVE(3, variance, r, floatBitsToUint(squares / count));
}
