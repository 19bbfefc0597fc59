/*
 * tiled.glsl - a product of matrices through shared memory: a workgroup of 128 computes 64 x 64 results, 8 x 4 of them an
 * invocation, from slabs of 16 terms. 8 KiB of shared memory.
 *
 * The shader defines, and then calls kiln_tile(rows, columns, terms) with the sizes behind the tile's first row and column:
 *
 *   float load_a(uint row, uint term)          row and term are in range; row counts from the tile's first
 *   float load_b(uint term, uint column)
 *   void  store_at(uint row, uint column, float sum)
 *
 * and A_ALONG_TERMS, B_ALONG_TERMS: whether neighbouring invocations load neighbouring terms of an operand, or its rows or
 * columns; these are then LANE % 64 in every call.
 */
#define TILE 64u
#define SLAB 16u
#define TILE_LANES 128u
#define OWN_ROWS 8u
#define OWN_COLUMNS 4u

shared float slab_a[SLAB][TILE];
shared float slab_b[SLAB][TILE];

void kiln_load_slab(uint rows, uint columns, uint terms, uint first)
{
    for (uint i = 0; i < TILE * SLAB / TILE_LANES; i++) {
        const uint at = i * TILE_LANES + LANE;
        const uint a_term = A_ALONG_TERMS ? at % SLAB : at / TILE, row = A_ALONG_TERMS ? at / SLAB : at % TILE;
        const uint b_term = B_ALONG_TERMS ? at % SLAB : at / TILE, column = B_ALONG_TERMS ? at / SLAB : at % TILE;
        slab_a[a_term][row] = row < rows && first + a_term < terms ? load_a(row, first + a_term) : 0.0;
        slab_b[b_term][column] = column < columns && first + b_term < terms ? load_b(first + b_term, column) : 0.0;
    }
}

uint own_row, own_column, end_row, end_column;

void store(uint i, uint j, float sum)
{
    if (own_row + i < end_row && own_column + j < end_column)
        store_at(own_row + i, own_column + j, sum);
}

void kiln_tile(uint rows, uint columns, uint terms)
{
    const uint row = LANE / (TILE / OWN_COLUMNS) * OWN_ROWS, column = LANE % (TILE / OWN_COLUMNS) * OWN_COLUMNS;
    vec4 sum[OWN_ROWS];
    [[unroll]] for (uint i = 0; i < OWN_ROWS; i++)
        sum[i] = vec4(0);

    for (uint first = 0; first < terms; first += SLAB) {
        kiln_load_slab(rows, columns, terms, first);
        barrier();
        for (uint fourth = 0; fourth < SLAB; fourth += 4)
            [[unroll]] for (uint k = fourth; k < fourth + 4; k++) {
                const vec4 b =
                    vec4(slab_b[k][column], slab_b[k][column + 1], slab_b[k][column + 2], slab_b[k][column + 3]);
                [[unroll]] for (uint i = 0; i < OWN_ROWS; i++)
                    sum[i] += slab_a[k][row + i] * b;
            }
        barrier();
    }

    own_row = row, own_column = column;
    end_row = rows, end_column = columns;
    KILN_STORE_ALL(OWN_ROWS, OWN_COLUMNS, sum[i][j]);
}
