/*
 * fours_tile.glsl - what both products of fours (fours.comp, team.comp) have of an invocation's tile of ROWS x (4 QUADS) results: where
 * its operands lie, and how it is stored. Include it behind matmul.h.
 *
 * bindings   0: a in    1: b in    2: c out    3, 4: operands of the epilogue
 * tuning     0: A_ALONG_ROWS, a's fours are rows, else terms    1: B_ALONG_TERMS, b's fours are terms, else columns
 *            2: STORE_ONES, rows of results begin anywhere    3: SHIFT, how far behind a multiple of four b's second row of columns begins
 */
#include "epilogue.glsl"
#include "light.glsl"
#include "fours.glsl"

KILN_TUNING(0, A_ALONG_ROWS, 0);
KILN_TUNING(1, B_ALONG_TERMS, 0);
KILN_TUNING(2, STORE_ONES, 0);
KILN_TUNING(3, SHIFT, 0);

KILN_TEXELS(0, a);
KILN_TEXELS(1, b);
KILN_OUT_ANY(2, c);
KILN_OUT_FOURS(2, c);

const uint COLUMNS = 4u * QUADS;        /* of a tile */

uint row, column, batch;                /* of the tile's first result */
uint a_first, b_first;                  /* of the batch's matrices */
uint b_last;                            /* four of b, where it is read by columns */

vec4 a_four(uint i) { return texelFetch(a, int(i / 4u)); }
vec4 b_four(uint four) { return texelFetch(b, int(min(four, b_last))); }

void find_matrices()
{
    a_first = p.a_first + KILN_MATRIX_AT(p, a, batch);
    b_first = p.b_first + KILN_MATRIX_AT(p, b, batch);
    b_last = (b_first + (p.k - 1u) * p.b_k + p.n - 1u) / 4u;
}

/* The operands of the epilogue that are one for all results of row i of the tile, or for all; the shader's. */
uvec2 row_operands(uint i);

/* Finished results from `at` on that do not begin at a multiple of four, of which those before column p.n are there: the shader's. */
void store_loose(uint at, uvec4 bits[QUADS]);

void store_line(uint at, uvec4 bits[QUADS])
{
    if (STORE_ONES != 0u) {
        store_loose(at, bits);
        return;
    }
    [[unroll]] for (uint q = 0; q < QUADS; q++)
        if (column + 4u * q < p.n)
            KILN_SAVE_FOUR(2, c, at / 4u + q, bits[q]);
}

vec4 first_of[QUADS], second_of[QUADS];     /* operands of the epilogue that are walked by columns: the tile's, read once for all rows */

void read_columns_operands()
{
    [[unroll]] for (uint q = 0; q < QUADS; q++) {
        const uint at = min(column + 4u * q, p.n - 1u), count = min(p.n - at, 4u);
        if (EPILOGUE_WALK1 == KILN_WALK_COLUMN)
            first_of[q] = kiln_light_first(0u, 0u, at, count);
        if (EPILOGUE_WALK2 == KILN_WALK_COLUMN)
            second_of[q] = kiln_light_second(0u, 0u, at, count);
    }
}

/* An operand that is walked as the results are, where these begin at a multiple of four: in pairs, since llvmpipe loads lane by lane. */
#ifdef PAIRS
KILN_IN(KILN_EPILOGUE_SLOT0, uint64_t, first_pairs);
KILN_IN(KILN_EPILOGUE_SLOT1, uint64_t, second_pairs);
vec4 of_pairs(uint64_t a, uint64_t b) { return uintBitsToFloat(uvec4(unpackUint2x32(a), unpackUint2x32(b))); }
#define FLAT(which, slot, walk)                                                             \
    vec4 flat_##which(uint at, uint i, uint j, uint count)                                  \
    {                                                                                       \
        if (STORE_ONES != 0u || (walk) != KILN_WALK_FLAT)                                   \
            return kiln_light_##which(at, i, j, count);                                     \
        if (KILN_IS_HALF(slot))                                                             \
            return kiln_light_##which(at, i, j, count);                                     \
        return of_pairs(which##_pairs[at / 2u], which##_pairs[at / 2u + 1u]);               \
    }
FLAT(first, KILN_EPILOGUE_SLOT0, EPILOGUE_WALK1)
FLAT(second, KILN_EPILOGUE_SLOT1, EPILOGUE_WALK2)
#else
#define flat_first kiln_light_first
#define flat_second kiln_light_second
#endif

/* Operand `which` of the epilogue, first or second, at count results of row i from column `at` on. */
#define OPERAND(which, walk, known, q, flat_index, i, at, count)                        \
    ((walk) == KILN_WALK_COLUMN                         ? which##_of[q]                 \
     : kiln_epilogue_is_common(walk, KILN_WALK_ROW)     ? KILN_LIGHT_OF(known)          \
                                                        : flat_##which(flat_index, row + (i), at, count))

/* Row i of the tile. An epilogue that is not light is long: it stands in a loop. */
void store(uint i, vec4 fours[QUADS])
{
    if (row + i >= p.m)
        return;
    const uint at = p.c_first + batch * p.c_batch + (row + i) * p.c_m + column;
    const uvec2 of_row = row_operands(i);
    if (kiln_epilogue_is_light()) {
        uvec4 bits[QUADS];
        [[unroll]] for (uint q = 0; q < QUADS; q++) {
            const uint first = column + 4u * q, flat_index = at + 4u * q, count = min(p.n - first, 4u);
            bits[q] = uvec4(0);
            if (first < p.n)
                bits[q] = kiln_epilogue_light(fours[q], OPERAND(first, EPILOGUE_WALK1, of_row.x, q, flat_index, i, first, count),
                                              OPERAND(second, EPILOGUE_WALK2, of_row.y, q, flat_index, i, first, count));
        }
        store_line(at, bits);
        return;
    }
    [[dont_unroll]] for (uint j = 0; j < COLUMNS && column + j < p.n; j++)
        KILN_SAVE(2, c, at + j,
                  kiln_epilogue_with(fours[j / 4u][j % 4u], KILN_WALK_ROW, of_row, at + j, row + i, column + j));
}

void store_tile()
{
    if (kiln_epilogue_is_light())
        read_columns_operands();
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        store(i, sum[i]);
}
