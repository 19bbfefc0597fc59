/*
 * tiled.glsl - a product of matrices through shared memory: a workgroup computes TILE_ROWS x TILE_COLUMNS results from slabs of
 * 16 terms, an invocation 8 rows of it by 4 or 8 columns. While it adds up one slab, the next is on its way from memory into
 * registers.
 *
 *   usual          64 x 64      128 invocations    8.5 KiB of shared memory
 *   -DFLAT_TILE    32 x 128     128               10.5 KiB, for few rows
 *   -DLARGE_TILE   128 x 128    256               16.5 KiB, for much work
 *
 * The shader defines, and then calls kiln_tile(rows, columns, terms) with the sizes behind the tile's first row and column:
 *
 *   float load_a(uint row, uint term)          row and term are in range; row counts from the tile's first
 *   float load_b(uint term, uint column)
 *   void  store_at(uint row, uint column, float sum)
 *
 * and A_ALONG_TERMS, B_ALONG_TERMS: whether neighbouring invocations load neighbouring terms of an operand, or its rows or
 * columns; the columns of b are then LANE % TILE_COLUMNS in every call.
 */
#if defined(LARGE_TILE)
#define TILE_ROWS 128u
#define TILE_COLUMNS 128u
#define OWN_COLUMNS 8u
#elif defined(FLAT_TILE)
#define TILE_ROWS 32u
#define TILE_COLUMNS 128u
#define OWN_COLUMNS 4u
#else
#define TILE_ROWS 64u
#define TILE_COLUMNS 64u
#define OWN_COLUMNS 4u
#endif

#define SLAB 16u
#define OWN_ROWS 8u
#define TILE_LANES (TILE_ROWS / OWN_ROWS * TILE_COLUMNS / OWN_COLUMNS)

/* Rows of a slab are vectors of four, with one more between them so that neighbouring terms lie in different banks. */
#define A_PITCH (TILE_ROWS / 4u + 1u)
#define B_PITCH (TILE_COLUMNS / 4u + 1u)
shared vec4 slab_a[SLAB * A_PITCH];
shared vec4 slab_b[SLAB * B_PITCH];

#define A_LOADS (TILE_ROWS * SLAB / TILE_LANES)
#define B_LOADS (TILE_COLUMNS * SLAB / TILE_LANES)
float next_a[A_LOADS], next_b[B_LOADS];

/* Term and row of this invocation's load i, term and column. */
uvec2 a_place(uint i)
{
    const uint at = i * TILE_LANES + LANE;
    return A_ALONG_TERMS ? uvec2(at % SLAB, at / SLAB) : uvec2(at / TILE_ROWS, at % TILE_ROWS);
}

uvec2 b_place(uint i)
{
    const uint at = i * TILE_LANES + LANE;
    return B_ALONG_TERMS ? uvec2(at % SLAB, at / SLAB) : uvec2(at / TILE_COLUMNS, at % TILE_COLUMNS);
}

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
        const float x = load_a(min(at.y, rows - 1u), min(at.x, terms - 1u));
        next_a[i] = at.y < rows && at.x < terms ? x : 0.0;
    }
    [[unroll]] for (uint i = 0; i < B_LOADS; i++) {
        const uvec2 at = b_place(i) + uvec2(first, 0);
        const float x = load_b(min(at.x, terms - 1u), min(at.y, columns - 1u));
        next_b[i] = at.y < columns && at.x < terms ? x : 0.0;
    }
}

void kiln_share_slab()
{
    [[unroll]] for (uint i = 0; i < A_LOADS; i++) {
        const uvec2 at = a_place(i);
        slab_a[at.x * A_PITCH + at.y / 4u][at.y % 4u] = next_a[i];
    }
    [[unroll]] for (uint i = 0; i < B_LOADS; i++) {
        const uvec2 at = b_place(i);
        slab_b[at.x * B_PITCH + at.y / 4u][at.y % 4u] = next_b[i];
    }
}

/* An invocation's rows are two fours half a tile apart, its columns one four or two: neighbours read neighbouring vectors. */
#define QUADS (OWN_COLUMNS / 4u)
#define ACROSS (TILE_COLUMNS / OWN_COLUMNS)
#define OWN_ROW(i) ((i) / 4u * (TILE_ROWS / 2u) + LANE / ACROSS * 4u + (i) % 4u)
#define OWN_COLUMN(j) ((j) / 4u * (TILE_COLUMNS / 2u) + LANE % ACROSS * 4u + (j) % 4u)

uint end_row, end_column;

void store(uint i, uint j, float sum)
{
    if (OWN_ROW(i) < end_row && OWN_COLUMN(j) < end_column)
        store_at(OWN_ROW(i), OWN_COLUMN(j), sum);
}

void kiln_tile(uint rows, uint columns, uint terms)
{
    vec4 sum[OWN_ROWS][QUADS];
    [[unroll]] for (uint i = 0; i < OWN_ROWS; i++)
        [[unroll]] for (uint q = 0; q < QUADS; q++)
            sum[i][q] = vec4(0);

    if (terms > 0)
        kiln_fetch_slab(rows, columns, terms, 0);
    const uint a_at = LANE / ACROSS, b_at = LANE % ACROSS;
    for (uint first = 0; first < terms; first += SLAB) {
        kiln_share_slab();
        barrier();
        if (first + SLAB < terms)
            kiln_fetch_slab(rows, columns, terms, first + SLAB);
        [[unroll]] for (uint k = 0; k < SLAB; k++) {
            const vec4 low = slab_a[a_at + k * A_PITCH], high = slab_a[a_at + k * A_PITCH + TILE_ROWS / 8u];
            [[unroll]] for (uint q = 0; q < QUADS; q++) {
                const vec4 b = slab_b[b_at + k * B_PITCH + q * (TILE_COLUMNS / 8u)];
                [[unroll]] for (uint i = 0; i < 4; i++) {
                    sum[i][q] += low[i] * b;
                    sum[4 + i][q] += high[i] * b;
                }
            }
        }
        barrier();
    }

    end_row = rows, end_column = columns;
    KILN_STORE_ALL(OWN_ROWS, OWN_COLUMNS, sum[i][j / 4u][j % 4u]);
}
