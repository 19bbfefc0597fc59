#version 450
/*
 * cumulate - y[t] = what x[0] .. x[t] of a row combine to (cumulate.h).
 *
 * dispatch   a part a workgroup: its lanes take EACH neighbouring elements, and their states are combined by doubling distances
 *            (Hillis and Steele 1986); with COLUMNS, for short rows and rows that lie side by side, a row a lane
 * numerics   in float; the order follows sizes alone
 */
#include "kiln.glsl"
#include "cumulate.h"

KILN_CONSTANT(0, CODE);
KILN_CONSTANT(1, SECONDS);

KILN_IN_ANY(0, x);
KILN_IN_ANY(1, second);
KILN_IN(2, uint, start);
KILN_IN(3, uint, start_second);
KILN_OUT_ANY(4, y);
KILN_OUT(5, uint, y_second);

#define EXCLUSIVE ((p.how & KILN_CUMULATE_EXCLUSIVE) != 0u)
#define REVERSE ((p.how & KILN_CUMULATE_REVERSE) != 0u)
#define LAGGED ((p.how & KILN_CUMULATE_LAGGED) != 0u)
#define TOTALS ((p.how & KILN_CUMULATE_TOTALS) != 0u)
#define STATES ((p.how & KILN_CUMULATE_STATES) != 0u)

/* The state of nothing; an extreme stands at the first element then. */
uvec2 nothing()
{
    const uint first = REVERSE ? p.cols - 1u : 0u;
    switch (CODE) {
    case KILN_CUMULATE_PROD_F: return uvec2(0x3f800000u, 0u);
    case KILN_CUMULATE_MAX_F: return uvec2(0xff800000u, first);
    case KILN_CUMULATE_MIN_F: return uvec2(0x7f800000u, first);
    case KILN_CUMULATE_LINEAR_F: return uvec2(0u, 0x3f800000u);
    case KILN_CUMULATE_PROD_I: return uvec2(1u, 0u);
    case KILN_CUMULATE_MAX_I: return uvec2(0x80000000u, first);
    case KILN_CUMULATE_MIN_I: return uvec2(0x7fffffffu, first);
    case KILN_CUMULATE_MAX_U: return uvec2(0u, first);
    case KILN_CUMULATE_MIN_U: return uvec2(0xffffffffu, first);
    default: return uvec2(0u);
    }
}

/* Whether the later real takes the place of the earlier: NaN stays, equals do not move. */
bool wins(float earlier, float later, bool largest)
{
    if (kiln_is_nan(earlier) || kiln_is_nan(later))
        return !kiln_is_nan(earlier);
    return largest ? later > earlier : later < earlier;
}

uvec2 combine(uvec2 s, uvec2 t)
{
    const float f = uintBitsToFloat(s.x), g = uintBitsToFloat(t.x);
    switch (CODE) {
    case KILN_CUMULATE_SUM_F: return uvec2(floatBitsToUint(f + g), 0u);
    case KILN_CUMULATE_PROD_F: return uvec2(floatBitsToUint(f * g), 0u);
    case KILN_CUMULATE_MAX_F: return wins(f, g, true) ? t : s;
    case KILN_CUMULATE_MIN_F: return wins(f, g, false) ? t : s;
    case KILN_CUMULATE_LINEAR_F:
        return floatBitsToUint(vec2(uintBitsToFloat(t.y) * f + g, uintBitsToFloat(s.y) * uintBitsToFloat(t.y)));
    case KILN_CUMULATE_SUM_I: return uvec2(s.x + t.x, 0u);
    case KILN_CUMULATE_PROD_I: return uvec2(s.x * t.x, 0u);
    case KILN_CUMULATE_MAX_I: return int(t.x) > int(s.x) ? t : s;
    case KILN_CUMULATE_MAX_U: return t.x > s.x ? t : s;
    case KILN_CUMULATE_MIN_U: return t.x < s.x ? t : s;
    default: return int(t.x) < int(s.x) ? t : s;
    }
}

/* Element t of a row, in the order of the cumulation. */
uint at(uint row, uint t)
{
    const uint c = REVERSE ? p.cols - 1u - t : t;
    return row / p.step * p.cols * p.step + row % p.step + c * p.step;
}

uvec2 state_at(uint row, uint t)
{
    const uint i = at(row, t), value = KILN_LOAD(0, x, i);
    if (SECONDS == 0u)
        return uvec2(value, 0u);
    if (!STATES && CODE != KILN_CUMULATE_LINEAR_F)
        return uvec2(value, REVERSE ? p.cols - 1u - t : t);
    if (!STATES && t == 0u)
        return uvec2(value, 0u);                                    /* nothing comes before */
    const uint from = LAGGED ? at(row, t - 1u) : i;
    return uvec2(value, KILN_LOAD(1, second, from));
}

void put(uint i, uvec2 state)
{
    KILN_SAVE(4, y, i, state.x);
    if (SECONDS != 0u && (TOTALS || STATES || CODE != KILN_CUMULATE_LINEAR_F))
        y_second[i] = state.y;
}

/* Elements [from, to) of a row, after `state`. */
void walk(uint row, uint from, uint to, uvec2 state)
{
    for (uint t = from; t < to; t++) {
        const uvec2 next = combine(state, state_at(row, t));
        put(at(row, t), EXCLUSIVE ? state : next);
        state = next;
    }
}

#ifdef COLUMNS

void main()
{
    KILN_GROUP(group);
    const uint row = group * LANES + LANE;
    if (row < p.rows)
        walk(row, 0u, p.cols, nothing());
}

#else

const uint EACH = 4u;
shared uvec2 slot[LANES];

/* What the lanes up to this one hold, combined. */
void combine_lanes(uvec2 own)
{
    barrier();
    slot[LANE] = own;
    for (uint step = 1u; step < LANES; step *= 2u) {
        barrier();
        if (LANE >= step)
            own = combine(slot[LANE - step], own);
        barrier();
        slot[LANE] = own;
    }
    barrier();
}

void main()
{
    KILN_GROUP(unit);
    const uint row = unit / p.parts, part = unit % p.parts;
    const uint first = part * p.part, end = min(first + p.part, p.cols);
    uvec2 carry = nothing();
    if (p.started != 0u)
        carry = uvec2(start[unit], SECONDS != 0u ? start_second[unit] : 0u);
    for (uint block = first; block < end; block += LANES * EACH) {
        const uint from = min(block + LANE * EACH, end), to = min(from + EACH, end);
        uvec2 own = nothing();
        for (uint t = from; t < to; t++)
            own = combine(own, state_at(row, t));
        combine_lanes(own);
        if (!TOTALS)
            walk(row, from, to, LANE > 0u ? combine(carry, slot[LANE - 1u]) : carry);
        carry = combine(carry, slot[LANES - 1u]);
    }
    if (TOTALS && LANE == 0u)
        put(unit, carry);
}

#endif
