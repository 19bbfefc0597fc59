/*
 * terms.glsl - how the tiles of conv and of its gradient by the filters read both operands: element (row, term) of a lies at
 * a_at + row a_row + what its term adds; a column of b meets the first term at `origin`, later ones further along each axis, and a term
 * that it meets outside of b counts for nothing.
 *
 * What follows from a term alone is worked out once for all of a workgroup, in shared memory, and ahead of the loads: a ring of two slabs.
 *
 * With FEW no column meets more than 31 terms of a source, which have numbers: a bit each says once for all whether the column meets them
 * inside of b.
 *
 * Matrix units take elements in fours, and the less there is to work out for each of these the better: A_WHOLE says that fours of a along
 * terms begin at fours, B_ROWS that four neighbours of b lie in a row, `b_step` apart, or B_BESIDE side by side, whichever axis they lie along:
 * one meeting then tells of all.
 *
 * The shader defines A_SLOT and B_SLOT, which bindings these are, B_ALONG_TERMS for matrix units, and
 *
 *   kiln_term kiln_meet(uint term)     with the term counted from a tile's first
 */
#include "quotient.glsl"
#ifdef COOP
#include "coop.glsl"
KILN_IN(A_SLOT, WORD, a);
KILN_IN(A_SLOT, LOADED, a_fours);
KILN_IN(B_SLOT, WORD, b);
KILN_IN(B_SLOT, LOADED, b_fours);
KILN_TUNING(0, A_FOURS, 0);
KILN_TUNING(1, B_LIES, 0);
#define A_WHOLE (A_FOURS == 1u)
#define B_ROWS (B_LIES != 0u)
#define B_BESIDE (B_LIES == 2u)
#define B_PARTS (STORED / 4u)   /* fours that an invocation stores together */
#define FEW false
#else
#define B_PARTS 1u
#define LOADED float
#include "raw.glsl"
KILN_IN(A_SLOT, IN_MEMORY, a);
KILN_IN(B_SLOT, IN_MEMORY, b);
#endif

/* How often `d` goes into a count of terms. */
uint kiln_count(uint n, uint d, float inverse)
{
    return (MODE & KILN_CONV_SMALL) != 0u ? kiln_small_quotient(n, inverse) : kiln_quotient(n, d, inverse);
}

struct kiln_term {
    uint a, b;          /* elements further than the first term's, of b where it is inside */
    ivec3 further;      /* FEW: the term's number first, and nothing else */
};

#define RING 64u
shared uint ring_a[RING];
shared ivec4 ring_b[RING];

uint end_term;          /* of the tile */
uint a_at, a_row;
uint b_at[B_PARTS];     /* where this invocation's column, or the first of each four of them, meets the first term, */
ivec3 origin[B_PARTS];  /* along each axis, */
uvec3 b_size;           /* of these sizes */
uint b_meets;           /* FEW: bit i: it meets term number i inside */

kiln_term kiln_meet(uint term);

/* No column meets a term beyond the last, and matrix units' a has none. */
const int BEYOND = 1 << 30;
const int BEYOND_FEW = 31;
#ifdef COOP
const uint NO_TERM = ~0u;
#else
const uint NO_TERM = 0u;
#endif

void kiln_meet_ahead(uint first, uint count)
{
    if (LANE >= count)
        return;
    const uint term = first + LANE;
    kiln_term met = kiln_term(NO_TERM, 0u, ivec3(FEW ? BEYOND_FEW : BEYOND));
    if (term < end_term)
        met = kiln_meet(term);
    ring_a[term % RING] = met.a;
    ring_b[term % RING] = ivec4(int(met.b), met.further);
}
#define MEET(first, count) kiln_meet_ahead(first, count)

/* To loads a term is its place in the ring, which holds whole slabs, and those beyond the last, too. */
#define TERM(own, more, first, last) (((own) + (first) % RING) + (more))

/* Where a column meets a term; `inside`: all bits where that is in b, else none, and the first element. */
uint kiln_meeting(uint term, out uint inside)
{
    const ivec4 met = ring_b[term];
    inside = FEW ? uint(bitfieldExtract(int(b_meets), met.y, 1)) : kiln_inside(origin[0] + met.yzw, b_size) ? ~0u : 0u;
    return (b_at[0] + uint(met.x)) & inside;
}

#define A_ALONG_TERMS true
uint a_line(uint row, uint more) { return a_at + row * a_row + more * a_row; }
#ifdef COOP
#define B_LINE(i) (B_ALONG_TERMS ? 0u : B_MORE(i).y / 4u)

/* Four elements by their bits, each in a word, and as they lie; `counts`: bit i of 4, whether element i does. */
#ifdef HALF
#define FOUR(bits) uvec2((bits).x | (bits).y << 16, (bits).z | (bits).w << 16)
#else
#define FOUR(bits) uintBitsToFloat(bits)
#endif
LOADED four_of(uvec4 bits, uint counts)
{
    return FOUR(mix(uvec4(0u), bits, notEqual(uvec4(counts) & uvec4(1u, 2u, 4u, 8u), uvec4(0u))));
}

#define B_ACROSS true
#define RAW_A uvec4
#define RAW_B uvec4

uint b_step;        /* from one of four in a row to the next */
int b_last;         /* B_BESIDE: the four that b's last element lies in */

#ifdef HALF
#define WORDS_OF(four) uvec4(four, 0u, 0u)
#define FOUR_OF(words) (words).xy
#else
#define WORDS_OF(four) floatBitsToUint(four)
#define FOUR_OF(words) uintBitsToFloat(words)
#endif

RAW_A load_whole_a(uint line, uint term, out uint note)
{
    note = 0u;
    return WORDS_OF(a_fours[(line + ring_a[term]) / 4u]);
}

RAW_A load_a(uint line, uint term, out uint note)
{
    uvec4 bits;
    note = 0u;
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        const uint at = ring_a[term + i];
        bits[i] = uint(a[line + (at == NO_TERM ? 0u : at)]);
        note |= uint(at != NO_TERM) << i;
    }
    return bits;
}

LOADED made_a(RAW_A raw, uint note) { return A_WHOLE ? FOUR_OF(raw) : four_of(raw, note); }

/* Bit i: whether `from + i step` is below `size`. */
uint in_row(int from, uint step, uint size)
{
    uint counts = 0u;
    [[unroll]] for (uint i = 0; i < 4u; i++)
        counts |= uint(uint(from) + i * step < size) << i;
    return counts;
}

RAW_B b_row(uint term, uint part, out uint note)
{
    const ivec4 met = ring_b[term];
    const ivec3 at = origin[part] + met.yzw;
    const uint first = b_at[part] + uint(met.x);
    note = kiln_inside(ivec3(at.xy, 0), b_size) ? in_row(at.z, b_step, b_size.z) : 0u;
#ifdef HALF
    /* Two fours that hold them, from the first one's `first % 4` on. */
    if (B_BESIDE) {
        const int four = int(first) >> 2, next = int(first + 3u) >> 2;
        note |= first % 4u << 4;
        return uvec4(b_fours[clamp(four, 0, b_last)], b_fours[clamp(next, 0, b_last)]);
    }
#endif
    uvec4 bits;
    [[unroll]] for (uint i = 0; i < 4u; i++)
        bits[i] = uint(b[(note >> i & 1u) != 0u ? first + i * b_step : 0u]);
    return bits;
}

/* Of B_ROWS the four is the line. */
RAW_B load_b(uint line, uint term, out uint note)
{
    if (B_ROWS)
        return b_row(term, line, note);
    uvec4 bits;
    note = 0u;
    [[unroll]] for (uint i = 0; i < 4u; i++) {
        uint inside;
        bits[i] = uint(b[kiln_meeting(term + i, inside)]);
        note |= (inside & 1u) << i;
    }
    return bits;
}

LOADED made_b(RAW_B raw, uint note)
{
#ifdef HALF
    if (B_BESIDE) {
        const uvec3 from = (note & 32u) != 0u ? raw.yzw : raw.xyz;
        const uvec2 four = (note & 16u) != 0u ? from.xy >> 16 | from.yz << 16 : from.xy;
        const uvec4 kept = mix(uvec4(0u), uvec4(0xffffu), notEqual(uvec4(note) & uvec4(1u, 2u, 4u, 8u), uvec4(0u)));
        return four & (kept.xz | kept.yw << 16);
    }
#endif
    return four_of(raw, note);
}

#else

#define B_ALONG_TERMS false
#define B_LINE(i) 0u
#define RAW_A RAW
#define RAW_B RAW

RAW_A load_a(uint line, uint term, out uint note)
{
    note = 0u;
    return RAW(a[line + ring_a[term]]);
}

RAW_B load_b(uint line, uint term, out uint note) { return RAW(b[kiln_meeting(term, note)]); }

LOADED made_a(RAW_A raw, uint note) { return kiln_made(raw); }
LOADED made_b(RAW_B raw, uint note) { return kiln_made(raw & note); }

#endif
