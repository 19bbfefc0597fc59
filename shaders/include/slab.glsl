/*
 * slab.glsl - slabs of the operands of a product of matrices, on their way from memory into registers: TILE_ROWS rows and
 * TILE_COLUMNS columns at SLAB terms each, which TILE_LANES invocations load together. Of tiled.glsl and
 * coop_tiled.glsl, which define these.
 *
 * The shader defines
 *
 *   LOADED load_a(uint row, uint term)         row and term are in range; row counts from the tile's first
 *   LOADED load_b(uint term, uint column)
 *   A_ALONG_TERMS, B_ALONG_TERMS               whether neighbouring invocations load neighbouring terms of an operand, or its rows or
 *                                              columns; the columns of b are then LANE % TILE_COLUMNS in every call
 *
 * LOADED is one element. With -DFOURS it is four that lie side by side along that axis, of which a load names one; the axis' size is a
 * multiple of four, or a load gives zeros for what lies beyond it. It may define, too,
 *
 *   B_ACROSS                                   that neighbouring invocations load neighbouring columns though fours lie along terms
 *   A_WHOLE, load_whole_a                      where the first, the same for a workgroup, holds, the other is called in the place of load_a
 *   MEET(first, count)                         what is done ahead for so many terms, one after the other; a barrier stands before their loads
 */
#ifdef FOURS
#define TOGETHER 4u
#else
#define TOGETHER 1u
#endif

/* So many elements side by side are loaded by one invocation, one load after the other, as they go to shared memory together. */
#ifndef STORED
#define STORED TOGETHER
#endif
#define LOADS_OF_STORE (STORED / TOGETHER)

#ifndef B_ACROSS
#define B_ACROSS (!B_ALONG_TERMS)
#endif

#ifndef MEET
#define MEET(first, count)
#endif

#define A_LOADS (TILE_ROWS * SLAB / TOGETHER / TILE_LANES)
#define B_LOADS (TILE_COLUMNS * SLAB / TOGETHER / TILE_LANES)
LOADED next_a[A_LOADS], next_b[B_LOADS];

/* Term and row (column) of load i of this invocation, from a tile that is so wide. */
uvec2 place(uint i, bool along_terms, bool across, uint wide)
{
    const uint at = i / LOADS_OF_STORE * TILE_LANES + LANE, part = i % LOADS_OF_STORE * TOGETHER;
    const uvec2 one = along_terms ? uvec2(STORED, 1u) : uvec2(1u, STORED), count = uvec2(SLAB, wide) / one;
    return (across ? uvec2(at / count.y, at % count.y) : uvec2(at % count.x, at / count.x)) * one +
           (along_terms ? uvec2(part, 0u) : uvec2(0u, part));
}

uvec2 a_place(uint i) { return place(i, A_ALONG_TERMS, !A_ALONG_TERMS, TILE_ROWS); }
uvec2 b_place(uint i) { return place(i, B_ALONG_TERMS, B_ACROSS, TILE_COLUMNS); }

/* From memory: the slab whose first term that is. At the edge the last element is loaded again instead of what is beyond, and
 * dropped: a select, where a branch would keep the loads from going out together. */
#define LAST(along_terms) ((along_terms) ? (terms - 1u) / TOGETHER * TOGETHER : terms - 1u)
#define FETCH(load_some_a)                                                                                           \
    if (inside) {                                                                                                    \
        [[unroll]] for (uint i = 0; i < A_LOADS; i++)                                                                \
            next_a[i] = load_some_a(a_place(i).y, first + a_place(i).x);                                             \
        [[unroll]] for (uint i = 0; i < B_LOADS; i++)                                                                \
            next_b[i] = load_b(first + b_place(i).x, b_place(i).y);                                                  \
        return;                                                                                                      \
    }                                                                                                                \
    [[unroll]] for (uint i = 0; i < A_LOADS; i++) {                                                                  \
        const uvec2 at = a_place(i) + uvec2(first, 0);                                                               \
        const LOADED x = load_some_a(min(at.y, rows - 1u), min(at.x, LAST(A_ALONG_TERMS)));                          \
        next_a[i] = at.y < rows && at.x < terms ? x : LOADED(0);                                                     \
    }                                                                                                                \
    [[unroll]] for (uint i = 0; i < B_LOADS; i++) {                                                                  \
        const uvec2 at = b_place(i) + uvec2(first, 0);                                                               \
        const LOADED x = load_b(min(at.x, LAST(B_ALONG_TERMS)), min(at.y, columns - 1u));                            \
        next_b[i] = at.y < columns && at.x < terms ? x : LOADED(0);                                                  \
    }

void kiln_fetch_slab(uint rows, uint columns, uint terms, uint first)
{
    const bool inside = rows >= TILE_ROWS && columns >= TILE_COLUMNS && first + SLAB <= terms;
#ifdef A_WHOLE
    if (A_WHOLE) {
        FETCH(load_whole_a)
        return;
    }
#endif
    FETCH(load_a)
}

/* The first slab. What is done ahead for a later one is done while the one before it is shared. */
void kiln_fetch_first(uint rows, uint columns, uint terms)
{
    if (terms == 0u)
        return;
    MEET(0u, SLAB);
    barrier();
    kiln_fetch_slab(rows, columns, terms, 0u);
}
