/*
 * tiled.glsl - a product of matrices through shared memory: a workgroup computes TILE_ROWS x TILE_COLUMNS results from slabs of
 * 16 terms, an invocation 8 rows of it by 4 or 8 columns. While it adds up one slab, the next is on its way from memory into
 * registers.
 *
 *   usual          64 x 64      128 invocations    8.5 KiB of shared memory
 *   -DFLAT_TILE    32 x 128     128               10.5 KiB, for few rows
 *   -DLARGE_TILE   128 x 128    256               16.5 KiB, for much work
 *
 * The shader defines what slab.glsl wants, of which LOADED is float or, with -DFOURS, vec4: one load and, across terms, one store do
 * the work of four. It defines, too, and then calls kiln_tile(rows, columns, terms) with the sizes behind the tile's first row and column:
 *
 *   void store_at(uint row, uint column, float sum)        row and column are in range and count from the tile's first
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

#include "slab.glsl"

/* What was loaded at a place goes to its slab: fours along terms to four of its rows. Loads are whole fours of rows (columns) apart. */
#define AT(own, more, pitch) (((own).x * pitch + (own).y / 4u) + ((more).x * pitch + (more).y / 4u))
#ifdef FOURS
#define PUT(slab, pitch, own, more, value, along_terms)                                                              \
    if (along_terms)                                                                                                 \
        [[unroll]] for (uint t = 0; t < 4u; t++)                                                                     \
            slab[AT(own, more, pitch) + t * pitch][(own).y % 4u] = value[t];                                         \
    else                                                                                                             \
        slab[AT(own, more, pitch)] = value
#else
#define PUT(slab, pitch, own, more, value, along_terms) slab[AT(own, more, pitch)][(own).y % 4u] = value
#endif

void put_a(uint i, LOADED value) { PUT(slab_a, A_PITCH, A_OWN, A_MORE(i), value, A_ALONG_TERMS); }
void put_b(uint i, LOADED value) { PUT(slab_b, B_PITCH, B_OWN, B_MORE(i), value, B_ALONG_TERMS); }

void kiln_share_slab(uint left)
{
    SHARE(A_LOADS, MADE_A, A_TERM, put_a);
    SHARE(B_LOADS, MADE_B, B_TERM, put_b);
}

/* An invocation's rows are two fours half a tile apart, its columns one four or two: neighbours read neighbouring vectors. */
#define QUADS (OWN_COLUMNS / 4u)
#define ACROSS (TILE_COLUMNS / OWN_COLUMNS)
#define OWN_ROW(i) ((i) / 4u * (TILE_ROWS / 2u) + LANE / ACROSS * 4u + (i) % 4u)
#define OWN_COLUMN(j) ((j) / 4u * (TILE_COLUMNS / 2u) + LANE % ACROSS * 4u + (j) % 4u)

/* The results of row i, which is not known when compiled: a row's stores stand in the code once. */
void store_row(uint i, vec4 sums[QUADS], uint rows, uint columns)
{
    [[unroll]] for (uint j = 0; j < OWN_COLUMNS; j++)
        if (OWN_ROW(i) < rows && OWN_COLUMN(j) < columns)
            store_at(OWN_ROW(i), OWN_COLUMN(j), sums[j / 4u][j % 4u]);
}

void kiln_tile(uint rows, uint columns, uint terms)
{
    vec4 sum[OWN_ROWS][QUADS];
    [[unroll]] for (uint i = 0; i < OWN_ROWS; i++)
        [[unroll]] for (uint q = 0; q < QUADS; q++)
            sum[i][q] = vec4(0);

    kiln_fetch_first(rows, columns, terms);
    const uint a_at = LANE / ACROSS, b_at = LANE % ACROSS;
    for (uint first = 0; first < terms; first += SLAB) {
        kiln_share_slab(terms - first);
        MEET(first + SLAB, SLAB);
        barrier();
        if (first + SLAB < terms)
            kiln_fetch_slab(terms, first + SLAB);
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

    /* of a copy, so that the sums themselves stay in registers */
    vec4 done[OWN_ROWS][QUADS] = sum;
    [[dont_unroll]] for (uint i = 0; i < OWN_ROWS; i++)
        store_row(i, done[i], rows, columns);
}
