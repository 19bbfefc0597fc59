/*
 * coop_tiled.glsl - as tiled.glsl, by matrix units: a workgroup computes TILE_ROWS x TILE_COLUMNS results from slabs of 32 terms, a
 * subgroup a strip of 32 rows of it by fragments (coop.glsl, which the shader includes before its bindings). While one slab is
 * multiplied, the next is on its way from memory into registers.
 *
 *   usual          64 x 64      128 invocations    4 strips of 32 x 32    14 KiB of shared memory, 24 of emulated floats
 *   -DLARGE_TILE   128 x 128    256                8 of 32 x 64           28 KiB, 48
 *
 * or less, where COOP_M COOP_N is below 256.
 * That is a strip a subgroup of 32. Where a driver makes fewer subgroups, they take turns, each of which goes through all terms; where
 * it makes more, some have nothing to multiply.
 *
 * The shader defines what slab.glsl wants and, as for tiled.glsl, store_at; then it calls kiln_tile(rows, columns, terms).
 *
 * A slab lies in shared memory as it was loaded, terms or rows (columns) side by side, with 16 bytes (32 of floats) between its lines so
 * that they lie in different banks.
 */
#ifdef LARGE_TILE
#define TILE_ROWS 128u
#define TILE_COLUMNS 128u
#define STRIP_COLUMNS 64u
#else
#define TILE_ROWS 64u
#define TILE_COLUMNS 64u
#define STRIP_COLUMNS 32u
#endif
#define STRIP_ROWS 32u
#define STRIPS_ACROSS (TILE_COLUMNS / STRIP_COLUMNS)
#define STRIPS (TILE_ROWS / STRIP_ROWS * STRIPS_ACROSS)
#define TILE_LANES (32u * STRIPS)
#define SLAB 32u

#include "slab.glsl"

#define GAP 8u
#define TERMS_PITCH (SLAB + GAP)
#define ROWS_PITCH (TILE_ROWS + GAP)
#define COLUMNS_PITCH (TILE_COLUMNS + GAP)
#define FRAGMENT (COOP_M * COOP_N)
COOP_SHARED(TILE_ROWS * TERMS_PITCH, TILE_COLUMNS * TERMS_PITCH, STRIPS * FRAGMENT);

void kiln_share_slab()
{
    [[unroll]] for (uint i = 0; i < A_LOADS; i++) {
        const uvec2 at = a_place(i);
        slab_a[(A_ALONG_TERMS ? at.y * TERMS_PITCH + at.x : at.x * ROWS_PITCH + at.y) / TOGETHER] = next_a[i];
    }
    [[unroll]] for (uint i = 0; i < B_LOADS; i++) {
        const uvec2 at = b_place(i);
        slab_b[(B_ALONG_TERMS ? at.y * TERMS_PITCH + at.x : at.x * COLUMNS_PITCH + at.y) / TOGETHER] = next_b[i];
    }
}

/* A strip's fragments. */
#define DOWN (STRIP_ROWS / COOP_M)
#define ACROSS (STRIP_COLUMNS / COOP_N)

/* Add a slab's products to a strip: a's fragment (i, k) is at a_at + i a_i + k a_k, b's (k, j) likewise. */
#define MULTIPLY(a_at, a_i, a_k, a_pitch, a_layout, b_at, b_k, b_j, b_pitch, b_layout)                               \
    [[COOP_UNROLL]] for (uint k = 0; k < SLAB; k += COOP_K) {                                                             \
        COOP_A a[DOWN];                                                                                              \
        [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                                   \
            COOP_LOAD_A(a[i], (a_at) + i * COOP_M * (a_i) + k * (a_k), a_pitch, a_layout);                           \
        [[COOP_UNROLL]] for (uint j = 0; j < ACROSS; j++) {                                                               \
            COOP_B b;                                                                                                \
            COOP_LOAD_B(b, (b_at) + k * (b_k) + j * COOP_N * (b_j), b_pitch, b_layout);                              \
            [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                               \
                COOP_MULTIPLY(a[i], b, sum[i][j]);                                                                   \
        }                                                                                                            \
    }
#define A_TERMS row * TERMS_PITCH, TERMS_PITCH, 1u, TERMS_PITCH, COOP_ROWS
#define A_ROWS row, 1u, ROWS_PITCH, ROWS_PITCH, COOP_COLUMNS
#define B_TERMS column * TERMS_PITCH, 1u, TERMS_PITCH, TERMS_PITCH, COOP_COLUMNS
#define B_COLUMNS column, COLUMNS_PITCH, 1u, COLUMNS_PITCH, COOP_ROWS
#define MULTIPLY_LIKE(a, b) MULTIPLY_LISTED((a, b))
#define MULTIPLY_LISTED(list) MULTIPLY list

/* One fragment of each strip at a time goes through shared memory to the invocations, in a loop that holds their code once. */
#define STORE_SUMS(first_strip)                                                                                      \
    [[dont_unroll]] for (uint f = 0; f < DOWN * ACROSS; f++) {                                                       \
        if (strip < STRIPS)                                                                                          \
            [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                               \
                [[COOP_UNROLL]] for (uint j = 0; j < ACROSS; j++)                                                         \
                    if (i * ACROSS + j == f)                                                                         \
                        COOP_STORE(sum[i][j], COOP_ID * FRAGMENT);                                                   \
        barrier();                                                                                                   \
        store_fragments(first_strip, f / ACROSS * COOP_M, f % ACROSS * COOP_N, rows, columns);                       \
        barrier();                                                                                                   \
    }

/* Those that begin at a row and column of their strips. */
void store_fragments(uint first_strip, uint row, uint column, uint rows, uint columns)
{
    const uint count = min(COOP_COUNT, STRIPS - first_strip) * FRAGMENT;
    [[dont_unroll]] for (uint at = LANE; at < count; at += LANES) {
        const uint strip = first_strip + at / FRAGMENT;
        const uint i = strip / STRIPS_ACROSS * STRIP_ROWS + row + at % FRAGMENT / COOP_N;
        const uint j = strip % STRIPS_ACROSS * STRIP_COLUMNS + column + at % COOP_N;
        if (i < rows && j < columns)
            store_at(i, j, coop_out[at]);
    }
}

void kiln_tile(uint rows, uint columns, uint terms)
{
    for (uint first_strip = 0; first_strip < STRIPS; first_strip += COOP_COUNT) {
        const uint strip = first_strip + COOP_ID;
        const uint row = strip / STRIPS_ACROSS * STRIP_ROWS, column = strip % STRIPS_ACROSS * STRIP_COLUMNS;
        COOP_SUM sum[DOWN][ACROSS];
        [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)
            [[COOP_UNROLL]] for (uint j = 0; j < ACROSS; j++)
                COOP_CLEAR(sum[i][j]);

        kiln_fetch_first(rows, columns, terms);
        for (uint first = 0; first < terms; first += SLAB) {
            kiln_share_slab();
            MEET(first + SLAB, SLAB);
            barrier();
            if (first + SLAB < terms)
                kiln_fetch_slab(rows, columns, terms, first + SLAB);
            if (strip < STRIPS) {
                if (A_ALONG_TERMS) {
                    if (B_ALONG_TERMS)
                        MULTIPLY_LIKE(A_TERMS, B_TERMS)
                    else
                        MULTIPLY_LIKE(A_TERMS, B_COLUMNS)
                } else {
                    if (B_ALONG_TERMS)
                        MULTIPLY_LIKE(A_ROWS, B_TERMS)
                    else
                        MULTIPLY_LIKE(A_ROWS, B_COLUMNS)
                }
            }
            barrier();
        }
        STORE_SUMS(first_strip)
    }
}
