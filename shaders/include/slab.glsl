/*
 * slab.glsl - slabs of the operands of a product of matrices, on their way from memory into registers: TILE_ROWS rows and
 * TILE_COLUMNS columns at SLAB terms each, which TILE_LANES invocations load together. Of tiled.glsl and
 * coop_tiled.glsl, which define these.
 *
 * The shader defines
 *
 *   uint a_line(uint row, uint more)                     what loads of row + more begin with: worked out once for all slabs; rows count from the
 *   uint b_line(uint column, uint more)                  tile's first. `more` is known when compiled, and 0 at the edge
 *   B_LINE(i)                                            or this instead of b_line: of load i
 *   RAW_A load_a(uint line, uint term, out uint note)    of a line, with what TERM makes of a term
 *   RAW_B load_b(uint line, uint term, out uint note)
 *   LOADED made_a(RAW_A raw, uint note), made_b          what these loads make of what they found, a slab later: a load gives what comes
 *                                                        from memory as it comes, and notes what to do with it, so that nothing waits for it
 *   A_ALONG_TERMS, B_ALONG_TERMS                         whether neighbouring invocations load neighbouring terms of an operand, or its
 *                                                        rows or columns; the columns of b are then LANE % TILE_COLUMNS in every call
 *
 * LOADED is one element. With -DFOURS it is four that lie side by side along that axis, of which a load names one; the axis' size is a
 * multiple of four, or a load gives zeros for what lies beyond it. It may define, too,
 *
 *   B_ACROSS                                   that neighbouring invocations load neighbouring columns though fours lie along terms
 *   TERM(own, more, first, last)               what loads want to know of term first + own + more: it, or the last one where it is beyond.
 *                                              `first` is a slab's, a multiple of SLAB, `more` known when compiled, `own` the same in all calls
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

#ifndef TERM
#define TERM(own, more, first, last) min((own) + ((first) + (more)), last)
#endif

#ifndef MEET
#define MEET(first, count)
#endif

#define A_LOADS (TILE_ROWS * SLAB / TOGETHER / TILE_LANES)
#define B_LOADS (TILE_COLUMNS * SLAB / TOGETHER / TILE_LANES)
RAW_A next_a[A_LOADS];
RAW_B next_b[B_LOADS];
uint note_a[A_LOADS], note_b[B_LOADS];
uint line_a[A_LOADS], line_b[B_LOADS];

/* Term and row (column) of an invocation's first load from a tile that is so wide, and how much further load i is: all invocations together
 * load whole lines. */
uvec2 own_place(bool along_terms, bool across, uint wide)
{
    const uvec2 one = along_terms ? uvec2(STORED, 1u) : uvec2(1u, STORED), count = uvec2(SLAB, wide) / one;
    return (across ? uvec2(LANE / count.y, LANE % count.y) : uvec2(LANE % count.x, LANE / count.x)) * one;
}

uvec2 more_place(uint i, bool along_terms, bool across, uint wide)
{
    const uint lanes = i / LOADS_OF_STORE * TILE_LANES, part = i % LOADS_OF_STORE * TOGETHER;
    const uvec2 one = along_terms ? uvec2(STORED, 1u) : uvec2(1u, STORED), count = uvec2(SLAB, wide) / one;
    return (across ? uvec2(lanes / count.y, 0u) : uvec2(0u, lanes / count.x)) * one +
           (along_terms ? uvec2(part, 0u) : uvec2(0u, part));
}

#define A_OWN own_place(A_ALONG_TERMS, !A_ALONG_TERMS, TILE_ROWS)
#define A_MORE(i) more_place(i, A_ALONG_TERMS, !A_ALONG_TERMS, TILE_ROWS)
#define B_OWN own_place(B_ALONG_TERMS, B_ACROSS, TILE_COLUMNS)
#define B_MORE(i) more_place(i, B_ALONG_TERMS, B_ACROSS, TILE_COLUMNS)

#ifndef B_LINE
#define B_LINE(i) (columns >= TILE_COLUMNS ? b_line(B_OWN.y, B_MORE(i).y) : b_line(min(B_OWN.y + B_MORE(i).y, columns - 1u), 0u))
#endif

/* Beyond the edge the last row (column) is loaded again, which nobody wants. */
void kiln_set_lines(uint rows, uint columns)
{
    [[unroll]] for (uint i = 0; i < A_LOADS; i++)
        line_a[i] = rows >= TILE_ROWS ? a_line(A_OWN.y, A_MORE(i).y) : a_line(min(A_OWN.y + A_MORE(i).y, rows - 1u), 0u);
    [[unroll]] for (uint i = 0; i < B_LOADS; i++)
        line_b[i] = B_LINE(i);
}

/* From memory: the slab whose first term that is. Nothing is done with what was loaded, which would wait for it, and there are no branches, at
 * whose ends compilers would move it. */
#define LAST(along_terms) ((along_terms) ? (terms - 1u) / TOGETHER * TOGETHER : terms - 1u)
void kiln_fetch_slab(uint terms, uint first)
{
#ifdef A_WHOLE
#define LOAD_A(i, term) A_WHOLE ? load_whole_a(line_a[i], term, note_a[i]) : load_a(line_a[i], term, note_a[i])
#else
#define LOAD_A(i, term) load_a(line_a[i], term, note_a[i])
#endif
    const uint a_last = LAST(A_ALONG_TERMS), b_last = LAST(B_ALONG_TERMS);
    [[unroll]] for (uint i = 0; i < A_LOADS; i++)
        next_a[i] = LOAD_A(i, TERM(A_OWN.x, A_MORE(i).x, first, a_last));
    [[unroll]] for (uint i = 0; i < B_LOADS; i++)
        next_b[i] = load_b(line_b[i], TERM(B_OWN.x, B_MORE(i).x, first, b_last), note_b[i]);
}

/* To shared memory: `put(i, value)` with what was loaded, of a slab of which so many terms are left. */
#define SHARE(loads, made, term, put)                                                                                \
    if (left >= SLAB)                                                                                                \
        [[unroll]] for (uint i = 0; i < loads; i++)                                                                  \
            put(i, made(i));                                                                                         \
    else                                                                                                             \
        [[unroll]] for (uint i = 0; i < loads; i++)                                                                  \
            put(i, (term(i) < left ? made(i) : LOADED(0)))
#define A_TERM(i) (A_OWN.x + A_MORE(i).x)
#define B_TERM(i) (B_OWN.x + B_MORE(i).x)
#define MADE_A(i) made_a(next_a[i], note_a[i])
#define MADE_B(i) made_b(next_b[i], note_b[i])

/* The first slab. What is done ahead for a later one is done while the one before it is shared. */
void kiln_fetch_first(uint rows, uint columns, uint terms)
{
    if (terms == 0u)
        return;
    MEET(0u, SLAB);
    barrier();
    kiln_set_lines(rows, columns);
    kiln_fetch_slab(terms, 0u);
}
