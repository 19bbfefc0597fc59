/*
 * coop_tiled.glsl - as tiled.glsl, by matrix units: a workgroup computes TILE_ROWS x TILE_COLUMNS results from slabs of 32 terms, a
 * subgroup a strip of it by fragments (coop.glsl, which the shader includes before its bindings). While one slab is multiplied, the next
 * is on its way from memory into registers, and from there into the other half of shared memory.
 *
 *   usual          64 x 64      128 invocations    4 strips of 32 x 32    24 KiB of shared memory
 *   -DLARGE_TILE   128 x 128    128                4 of 64 x 64           44 KiB
 *
 * or less, where COOP_M COOP_N is below 256. That is a strip a subgroup of 32. Where a driver makes fewer subgroups, they take turns,
 * each of which goes through all terms; where it makes more, some have nothing to multiply.
 *
 * The shader defines what slab.glsl wants and, as for tiled.glsl, store_at; then it calls kiln_tile(rows, columns, terms).
 *
 * A slab lies in shared memory as it was loaded, terms or rows (columns) side by side, with 16 bytes (32 of floats) between its lines so
 * that they lie in different banks.
 */
#ifdef LARGE_TILE
#define TILE_ROWS 128u
#define TILE_COLUMNS 128u
#define STRIP 64u
#else
#define TILE_ROWS 64u
#define TILE_COLUMNS 64u
#define STRIP 32u
#endif
#define SLAB 32u
#define STRIPS_ACROSS (TILE_COLUMNS / STRIP)
#define STRIPS (TILE_ROWS / STRIP * STRIPS_ACROSS)
#define TILE_LANES (32u * STRIPS)

/* Drivers on the CPU, for which units are emulated, have shared memory of 32 KiB. */
#if defined(EMULATED) && (defined(LARGE_TILE) || !defined(HALF))
#define BUFFERS 1u
#else
#define BUFFERS 2u
#endif

#include "slab.glsl"

#define GAP 8u
#define TERMS_PITCH (SLAB + GAP)
#define ROWS_PITCH (TILE_ROWS + GAP)
#define COLUMNS_PITCH (TILE_COLUMNS + GAP)
#define FRAGMENT (COOP_M * COOP_N)
#define A_SLAB (TILE_ROWS * TERMS_PITCH)
#define B_SLAB (TILE_COLUMNS * TERMS_PITCH)
COOP_SHARED(BUFFERS * A_SLAB, BUFFERS * B_SLAB, STRIPS * FRAGMENT);

/* Where a place is in its slab. */
#define A_AT(place) (A_ALONG_TERMS ? (place).y * TERMS_PITCH + (place).x : (place).x * ROWS_PITCH + (place).y)
#define B_AT(place) (B_ALONG_TERMS ? (place).y * TERMS_PITCH + (place).x : (place).x * COLUMNS_PITCH + (place).y)
LOADED ready_a[A_LOADS], ready_b[B_LOADS];
void put_a(uint i, LOADED value) { ready_a[i] = value; }
void put_b(uint i, LOADED value) { ready_b[i] = value; }

void kiln_share_slab(uint which, uint left)
{
    SHARE(A_LOADS, MADE_A, A_TERM, put_a);
    SHARE(B_LOADS, MADE_B, B_TERM, put_b);
    [[unroll]] for (uint i = 0; i < A_LOADS; i += LOADS_OF_STORE)
        slab_a[(which * A_SLAB + A_AT(A_OWN)) / STORED + A_AT(A_MORE(i)) / STORED] = STORE(ready_a, i);
    [[unroll]] for (uint i = 0; i < B_LOADS; i += LOADS_OF_STORE)
        slab_b[(which * B_SLAB + B_AT(B_OWN)) / STORED + B_AT(B_MORE(i)) / STORED] = STORE(ready_b, i);
}

/* A strip's fragments. */
#define DOWN (STRIP / COOP_M)
#define ACROSS (STRIP / COOP_N)

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
#define A_TERMS a_slab + row * TERMS_PITCH, TERMS_PITCH, 1u, TERMS_PITCH, COOP_ROWS
#define A_ROWS a_slab + row, 1u, ROWS_PITCH, ROWS_PITCH, COOP_COLUMNS
#define B_TERMS b_slab + column * TERMS_PITCH, 1u, TERMS_PITCH, TERMS_PITCH, COOP_COLUMNS
#define B_COLUMNS b_slab + column, COLUMNS_PITCH, 1u, COLUMNS_PITCH, COOP_ROWS
#define MULTIPLY_LIKE(a, b) MULTIPLY_LISTED((a, b))
#define MULTIPLY_LISTED(list) MULTIPLY list

/* A fragment at a time goes through shared memory to its subgroup's invocations, in a loop that holds their code once. */
#define STORE_SUMS                                                                                                   \
    [[dont_unroll]] for (uint f = 0; f < DOWN * ACROSS; f++) {                                                       \
        [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)                                                                   \
            [[COOP_UNROLL]] for (uint j = 0; j < ACROSS; j++)                                                             \
                if (i * ACROSS + j == f)                                                                             \
                    COOP_STORE(sum[i][j], COOP_ID * FRAGMENT);                                                       \
        COOP_MEET;                                                                                                   \
        store_fragment(row + f / ACROSS * COOP_M, column + f % ACROSS * COOP_N, rows, columns);                      \
        COOP_MEET;                                                                                                   \
    }

/* Some at once, read before the first is stored: one by one each would wait for its own way through shared memory. */
#define AT_ONCE 8u

void store_fragment(uint row, uint column, uint rows, uint columns)
{
    [[dont_unroll]] for (uint first = COOP_LANE; first < FRAGMENT; first += AT_ONCE * COOP_LANES) {
        float value[AT_ONCE];
        [[COOP_UNROLL]] for (uint n = 0; n < AT_ONCE; n++)
            value[n] = coop_out[COOP_ID * FRAGMENT + min(first + n * COOP_LANES, FRAGMENT - 1u)];
        [[COOP_UNROLL]] for (uint n = 0; n < AT_ONCE; n++) {
            const uint at = first + n * COOP_LANES, i = row + at / COOP_N, j = column + at % COOP_N;
            if (at < FRAGMENT && i < rows && j < columns)
                store_at(i, j, value[n]);
        }
    }
}

void kiln_tile(uint rows, uint columns, uint terms)
{
    for (uint first_strip = 0; first_strip < STRIPS; first_strip += COOP_COUNT) {
        const uint strip = first_strip + COOP_ID;
        const uint row = strip / STRIPS_ACROSS * STRIP, column = strip % STRIPS_ACROSS * STRIP;
        COOP_SUM sum[DOWN][ACROSS];
        [[COOP_UNROLL]] for (uint i = 0; i < DOWN; i++)
            [[COOP_UNROLL]] for (uint j = 0; j < ACROSS; j++)
                COOP_CLEAR(sum[i][j]);

        kiln_fetch_first(rows, columns, terms);
        MEET(SLAB, SLAB);
        uint which = 0u;
        kiln_share_slab(which, terms);
        for (uint first = 0; first < terms; first += SLAB) {
            barrier();
            MEET(first + 2u * SLAB, SLAB);
            if (first + SLAB < terms)
                kiln_fetch_slab(terms, first + SLAB);
            if (strip < STRIPS) {
                const uint a_slab = which * A_SLAB, b_slab = which * B_SLAB;
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
            if (BUFFERS == 1u)
                barrier();
            which = (which + 1u) % BUFFERS;
            if (first + SLAB < terms)
                kiln_share_slab(which, terms - first - SLAB);
        }
        if (strip < STRIPS)
            STORE_SUMS
    }
}
