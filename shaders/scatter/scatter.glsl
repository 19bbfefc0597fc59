/* scatter.glsl - how the scattered meet, and which row an index means (scatter.h). */
#include "kiln.glsl"
#include "scatter.h"

KILN_CONSTANT(0, CODE);

const int NOWHERE = int(0x80000000u);

uint meet(uint a, uint b)
{
    const float f = uintBitsToFloat(a), g = uintBitsToFloat(b);
    switch (CODE) {
    case KILN_MEET_ADD_F: return floatBitsToUint(f + g);
    case KILN_MEET_MUL_F: return floatBitsToUint(f * g);
    case KILN_MEET_MIN_F: return floatBitsToUint(kiln_min(f, g));
    case KILN_MEET_MAX_F: return floatBitsToUint(kiln_max(f, g));
    case KILN_MEET_ADD_I: return a + b;
    case KILN_MEET_MUL_I: return a * b;
    case KILN_MEET_MIN_I: return uint(min(int(a), int(b)));
    case KILN_MEET_MAX_I: return uint(max(int(a), int(b)));
    case KILN_MEET_MIN_U: return min(a, b);
    case KILN_MEET_MAX_U: return max(a, b);
    default: return b;
    }
}

/* The row that an index means among those that are bound; one beyond them for what is not here, or nowhere. */
uint row_of(int given)
{
    const int at = clamp(given < 0 ? given + int(p.rows) : given, 0, int(p.rows) - 1);
    return given == NOWHERE ? p.shown : uint(at) - p.first;
}

/* Where the index of u[o, j, i] stands. */
uint index_of(uint o, uint j, uint i)
{
    return p.full != 0u ? (o * p.count + j) * p.inner + i : KILN_DIVIDE(o, share) * p.count + j;
}

/* The list that [o, ., i] belongs to. */
uint list_of(uint o, uint i) { return p.full != 0u ? o * p.inner + i : KILN_DIVIDE(o, share); }
