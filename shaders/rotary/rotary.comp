#version 450
/*
 * rotary - pairs of elements turned by an angle of their position
 *
 * bindings   0: x    1: cosine    2: sine    3: y
 * dispatch   an element a lane
 */
#include "kiln.glsl"
#include "rotary.h"

KILN_CONSTANT(0, FLAGS);

#define IS(flag) ((FLAGS & KILN_ROTARY_##flag) != 0u)

KILN_IN(0, T, x);
KILN_IN_ANY(1, cosine);
KILN_IN_ANY(2, sine);
KILN_OUT(3, T, y);

/* Where pair 0 of the row lies in the tables. */
uint table_of(uint row)
{
    const uint outside = KILN_DIVIDE(row, inner), n = KILN_DIVIDE(outside, outer);
    const uint position = IS(ROWS_FIRST) ? outside - n * p.outer : row - outside * p.inner;
    return (p.first_batch + n) * p.table_batch + position * (p.turned / 2u);
}

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.rows * p.depth)
        return;
    const uint row = KILN_DIVIDE(e, depth), d = e - row * p.depth;
    if (d >= p.turned) {
        y[e] = x[e];
        return;
    }
    const uint half_turned = p.turned / 2u, pair = IS(INTERLEAVED) ? d / 2u : d % half_turned;
    const bool second = IS(INTERLEAVED) ? d % 2u == 1u : d >= half_turned;
    const uint step = IS(INTERLEAVED) ? 1u : half_turned, at = table_of(row) + pair;
    const float c = uintBitsToFloat(KILN_LOAD(1, cosine, at)), s = uintBitsToFloat(KILN_LOAD(2, sine, at));
    const float other = float(x[second ? e - step : e + step]), turn = second != IS(INVERSE) ? s : -s;
    y[e] = T(float(x[e]) * c + other * turn);
}
