#version 450
/*
 * radix_count - how often each digit occurs in a part (radix.h).
 *
 * dispatch   a part a workgroup: columns of its lanes, added by a tree
 */
#include "radix.glsl"

KILN_IN(0, uvec2, x);
KILN_OUT(1, uint, counts);

void main()
{
    KILN_GROUP(unit);
    const uint row = unit / p.parts, part = unit % p.parts;
    const uint first = part * p.part, end = min(first + p.part, p.cols);
    clear_column();
    for (uint e = first + LANE; e < end; e += LANES)
        count_digit(digit_of(x[row * p.cols + e].x));
    for (uint step = LANES / 2u; step > 0u; step /= 2u) {
        barrier();
        if (LANE < step)
            for (uint w = 0; w < WORDS; w++)
                column[w][LANE] += column[w][LANE + step];
    }
    barrier();
    if (LANE < DIGITS)
        counts[(row * DIGITS + LANE) * p.parts + part] = counted(LANE, 0u);
}
