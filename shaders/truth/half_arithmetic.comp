#version 450
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
/*
 * half_arithmetic - sums, differences and products of halves (truth.h). An element of x is a pair of them.
 *
 * words      0: a + b    1: a - b    2: a b    3: a b + a    4: -a    as floats
 */
#include "kiln.glsl"
#include "truth.h"

KILN_IN(0, uint, x);
KILN_OUT(1, uint, y);

uint bits(float16_t value) { return floatBitsToUint(float(value)); }

void main()
{
    KILN_GROUP(group);
    const uint i = group * LANES + LANE, at = i * KILN_TRUTH_WORDS;
    const vec2 pair = unpackHalf2x16(x[i]);
    const float16_t a = float16_t(pair.x), b = float16_t(pair.y);

    y[at] = bits(a + b);
    y[at + 1] = bits(a - b);
    y[at + 2] = bits(a * b);
    y[at + 3] = bits(a * b + a);
    y[at + 4] = bits(-a);
}
