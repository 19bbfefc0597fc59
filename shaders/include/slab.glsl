/*
 * slab.glsl - slabs of the operands of a product of matrices, on their way from memory into registers: TILE_ROWS rows and
 * TILE_COLUMNS columns at SLAB terms each, which TILE_LANES invocations load together. Of tiled.glsl and
 * coop_tiled.glsl, which define these.
 *
 * The shader defines
 *
 *   LOADED load_a(uint row, uint term)         row and term are in range; row counts from the tile's first
 *   LOADED load_b(uint term, uint column)
 *
 * and A_ALONG_TERMS, B_ALONG_TERMS: whether neighbouring invocations load neighbouring terms of an operand, or its rows or
 * columns; the columns of b are then LANE % TILE_COLUMNS in every call.
 *
 * LOADED is one element. With -DFOURS it is four that lie side by side along that axis, of which a load names one; the axis' size is a
 * multiple of four.
 */
#ifdef FOURS
#define TOGETHER 4u
#else
#define TOGETHER 1u
#endif

#define A_LOADS (TILE_ROWS * SLAB / TOGETHER / TILE_LANES)
#define B_LOADS (TILE_COLUMNS * SLAB / TOGETHER / TILE_LANES)
LOADED next_a[A_LOADS], next_b[B_LOADS];

/* Term and row (column) of load i of this invocation, from a tile that is so wide. */
uvec2 place(uint i, bool along_terms, uint wide)
{
    const uint at = i * TILE_LANES + LANE, terms = SLAB / TOGETHER, others = wide / TOGETHER;
    return along_terms ? uvec2(at % terms * TOGETHER, at / terms) : uvec2(at / others, at % others * TOGETHER);
}

uvec2 a_place(uint i) { return place(i, A_ALONG_TERMS, TILE_ROWS); }
uvec2 b_place(uint i) { return place(i, B_ALONG_TERMS, TILE_COLUMNS); }

/* From memory: the slab whose first term that is. At the edge the last element is loaded again instead of what is beyond, and
 * dropped: a select, where a branch would keep the loads from going out together. */
void kiln_fetch_slab(uint rows, uint columns, uint terms, uint first)
{
    const bool inside = rows >= TILE_ROWS && columns >= TILE_COLUMNS && first + SLAB <= terms;
    if (inside) {
        [[unroll]] for (uint i = 0; i < A_LOADS; i++)
            next_a[i] = load_a(a_place(i).y, first + a_place(i).x);
        [[unroll]] for (uint i = 0; i < B_LOADS; i++)
            next_b[i] = load_b(first + b_place(i).x, b_place(i).y);
        return;
    }
    [[unroll]] for (uint i = 0; i < A_LOADS; i++) {
        const uvec2 at = a_place(i) + uvec2(first, 0);
        const LOADED x = load_a(min(at.y, rows - 1u), min(at.x, terms - 1u));
        next_a[i] = at.y < rows && at.x < terms ? x : LOADED(0);
    }
    [[unroll]] for (uint i = 0; i < B_LOADS; i++) {
        const uvec2 at = b_place(i) + uvec2(first, 0);
        const LOADED x = load_b(min(at.x, terms - 1u), min(at.y, columns - 1u));
        next_b[i] = at.y < columns && at.x < terms ? x : LOADED(0);
    }
}
