#version 450
/*
 * radix_move - the pairs of a part to their places by one digit (radix.h).
 *
 * A lane has EACH neighbouring keys. What it counts of a digit, and the lanes before it, tell how many of the part's pairs
 * with that digit come before one of its own.
 *
 * dispatch   a part a workgroup
 */
#include "radix.glsl"

const uint EACH = KILN_RADIX_PART / LANES;

KILN_IN(0, uvec2, x);
KILN_IN(1, uint, starts);
KILN_OUT(2, uvec2, y);

shared uint key[KILN_RADIX_PART + LANES];           /* a gap behind each lane's, so that lanes do not share banks */

uint place_of(uint e) { return e + e / EACH; }

/* Columns become sums over the lanes before. */
void scan_columns()
{
    uint own[WORDS];
    for (uint step = 1u; step < LANES; step *= 2u) {
        barrier();
        for (uint w = 0; w < WORDS; w++)
            own[w] = column[w][LANE] + (LANE >= step ? column[w][LANE - step] : 0u);
        barrier();
        for (uint w = 0; w < WORDS; w++)
            column[w][LANE] = own[w];
    }
    barrier();
}

void main()
{
    KILN_GROUP(unit);
    const uint row = unit / p.parts, part = unit % p.parts, base = row * p.cols + part * p.part;
    const uint count = min(p.part, p.cols - part * p.part);
    for (uint e = LANE; e < count; e += LANES)
        key[place_of(e)] = x[base + e].x;
    clear_column();
    barrier();

    uint rank[EACH];
    const uint first = LANE * EACH;
    for (uint i = 0; i < EACH; i++)
        rank[i] = first + i < count ? count_digit(digit_of(key[place_of(first + i)])) : 0u;
    scan_columns();
    for (uint i = 0; i < EACH; i++) {
        if (first + i >= count)
            continue;
        const uint digit = digit_of(key[place_of(first + i)]);
        const uint before = LANE > 0u ? counted(digit, LANE - 1u) : 0u;
        y[row * p.cols + starts[(row * DIGITS + digit) * p.parts + part] + before + rank[i]] = x[base + first + i];
    }
}
