/*
 * terms.glsl - how the tiles of conv and of its gradient by the filters read both operands: element (row, term) of a lies at
 * a_at + row a_row + what its term adds; a column of b meets the first term at `origin`, later ones further along each axis, and a term
 * that it meets outside of b counts for nothing.
 *
 * What follows from a term alone is worked out once for all of a workgroup, in shared memory, and ahead of the loads: a ring of two slabs.
 *
 * Matrix units take elements in fours, and the less there is to work out for each of these the better: A_WHOLE says that fours of a along
 * terms begin at fours, B_ROWS that four neighbours of b lie in a row, `b_step` apart, whichever axis they lie along: one meeting then tells
 * of all.
 *
 * The shader defines A_SLOT and B_SLOT, which bindings these are, B_ALONG_TERMS for matrix units, and
 *
 *   kiln_term kiln_meet(uint term)     with the term counted from a tile's first
 */
#ifdef COOP
#include "coop.glsl"
KILN_IN(A_SLOT, WORD, a);
KILN_IN(A_SLOT, LOADED, a_fours);
KILN_IN(B_SLOT, WORD, b);
KILN_TUNING(0, A_FOURS, 0);
KILN_TUNING(1, B_ROWS, 0);
#define A_WHOLE (A_FOURS == 1u)
#define B_PARTS (STORED / 4u)   /* fours that an invocation stores together */
#else
#define B_PARTS 1u
KILN_IN(A_SLOT, T, a);
KILN_IN(B_SLOT, T, b);
#define LOADED float
#endif

struct kiln_term {
    uint a, b;          /* elements further than the first term's, of b where it is inside */
    ivec3 further;
};

#define RING 64u
shared uint ring_a[RING];
shared ivec4 ring_b[RING];

uint end_term;          /* of the tile */
uint a_at, a_row;
uint b_at[B_PARTS];     /* where this invocation's column, or the first of each four of them, meets the first term, */
ivec3 origin[B_PARTS];  /* along each axis, */
uvec3 b_size;           /* of these sizes */

kiln_term kiln_meet(uint term);

/* No column meets a term beyond the last. */
const int BEYOND = 1 << 30;

void kiln_meet_ahead(uint first, uint count)
{
    if (LANE >= count)
        return;
    const uint term = first + LANE;
    kiln_term met = kiln_term(0u, 0u, ivec3(BEYOND));
    if (term < end_term)
        met = kiln_meet(term);
    ring_a[term % RING] = met.a;
    ring_b[term % RING] = ivec4(int(met.b), met.further);
}
#define MEET(first, count) kiln_meet_ahead(first, count)

/* Where a column meets a term; `inside`: whether that is in b. */
uint kiln_meeting(uint term, out bool inside)
{
    const ivec4 met = ring_b[term % RING];
    inside = kiln_inside(origin[0] + met.yzw, b_size);
    return inside ? b_at[0] + uint(met.x) : 0u;
}

#define A_ALONG_TERMS true
#ifdef COOP

/* Four elements by their bits. */
#ifdef HALF
#define FOUR(x, y, z, w) uvec2((x) | (y) << 16, (z) | (w) << 16)
#else
#define FOUR(x, y, z, w) uintBitsToFloat(uvec4(x, y, z, w))
#endif
#define B_ACROSS true

uint b_step;        /* from one of four in a row to the next */

uint a_bits(uint row, uint term)
{
    const bool inside = term < end_term;
    const uint bits = uint(a[a_at + (inside ? row * a_row + ring_a[term % RING] : 0u)]);
    return inside ? bits : 0u;
}

uint b_bits(uint term)
{
    bool inside;
    const uint bits = uint(b[kiln_meeting(term, inside)]);
    return inside ? bits : 0u;
}

LOADED load_whole_a(uint row, uint term) { return a_fours[(a_at + row * a_row + ring_a[term % RING]) / 4u]; }

LOADED load_a(uint row, uint term)
{
    return FOUR(a_bits(row, term), a_bits(row, term + 1u), a_bits(row, term + 2u), a_bits(row, term + 3u));
}

LOADED b_row(uint term, uint part)
{
    const ivec4 met = ring_b[term % RING];
    const ivec3 at = origin[part] + met.yzw;
    const bool in_lines = kiln_inside(ivec3(at.xy, 0), b_size);
    uint bits[4];
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        const bool inside = in_lines && uint(at.z) + i * b_step < b_size.z;
        const uint x = uint(b[inside ? b_at[part] + uint(met.x) + i * b_step : 0u]);
        bits[i] = inside ? x : 0u;
    }
    return FOUR(bits[0], bits[1], bits[2], bits[3]);
}

LOADED load_b(uint term, uint column)
{
    if (B_ROWS == 1u)
        return b_row(term, B_ALONG_TERMS ? 0u : column % STORED / 4u);
    return FOUR(b_bits(term), b_bits(term + 1u), b_bits(term + 2u), b_bits(term + 3u));
}

#else

#define B_ALONG_TERMS false

LOADED load_a(uint row, uint term) { return float(a[a_at + row * a_row + ring_a[term % RING]]); }

LOADED load_b(uint term, uint column)
{
    bool inside;
    const float value = float(b[kiln_meeting(term, inside)]);
    return inside ? value : 0.0;
}

#endif
