#version 450
/*
 * random - numbers that are drawn (random.h).
 *
 * dispatch   an invocation computes 4 elements that lie side by side, from one block of random bits
 */
#include "kiln.glsl"
#include "random.h"
#include "math.glsl"
#include "philox.glsl"

KILN_CONSTANT(0, CODE);

KILN_IN(0, uint, counter);
KILN_OUT_ANY(1, y);

/* In (0, 1): the first 24 bits from the highest one on. */
float inside(uint w)
{
    const int low = max(findMSB(w | 1u) - 23, 0);
    return float(max(w >> low << low, 1u)) * 2.3283064365386963e-10;
}

/* Two normal numbers, of mean 0 and deviation 1. */
vec2 normal(uint v, uint w)
{
    precise const float quarter = float((w << 2) >> 8) * 5.9604644775390625e-8 - 0.5;
    const float t = quarter * 1.57079637, r = sqrt(-2.0 * kiln_log(inside(v)));
    const vec2 at = r * vec2(kiln_cos_near(t), kiln_sin_near(t));
    switch (w >> 30) {
    case 0u: return at;
    case 1u: return vec2(-at.y, at.x);
    case 2u: return -at;
    default: return vec2(at.y, -at.x);
    }
}

uint drawn(uvec4 block, uint k)
{
    const uint w = block[k];
    if (CODE == KILN_RANDOM_BITS)
        return w;
    if (CODE == KILN_RANDOM_WHOLE) {
        uint high, low;
        umulExtended(w, p.count, high, low);
        return p.low + high;
    }
    if (CODE == KILN_RANDOM_GUMBEL)
        return floatBitsToUint(-kiln_log(-kiln_log1p(-inside(w))));
    const float x = CODE == KILN_RANDOM_NORMAL ? normal(block[k & 2u], block[k | 1u])[k & 1u]
                                               : float(w >> 8) * 5.9604644775390625e-8;
    precise const float part = p.b * x;
    precise const float sum = p.a + part;
    return floatBitsToUint(sum);
}

void main()
{
    KILN_GROUP(group);
    const uint from = 4u * (group * LANES + LANE);
    if (from >= p.elements)
        return;
    const uvec4 block = kiln_philox(uvec4((p.first + from) / 4u, 0u, counter[1], p.stream), uvec2(counter[0], 0u));
    const uint count = min(4u, p.elements - from);
    for (uint k = 0u; k < count; k++) {
        const uint bits = drawn(block, k);
        KILN_SAVE(1, y, from + k, bits);
    }
}
