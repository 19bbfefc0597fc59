#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * matmul, fours - as direct.comp, with operands read four elements at a time, along whichever axis they lie side by side: a driver on
 * the CPU loads each in one instruction. Sums go on by four terms; results are stored in fours, too.
 *
 * bindings   0: a in    1: b in    2: c out    3, 4: operands of the epilogue
 * dispatch   an invocation a tile of 8 x 8, tiles of a row of tiles side by side
 * tuning     0: A_ALONG_ROWS, a's fours are rows, else terms    1: B_ALONG_TERMS, b's fours are terms, else columns
 *            2: STORE_ONES, results are stored one by one
 * variants   -DONES: b is read one by one, whatever its strides
 */
#include "kiln.glsl"
#include "matmul.h"
#include "epilogue.glsl"
#include "fours.glsl"

KILN_TUNING(0, A_ALONG_ROWS, 0);
KILN_TUNING(1, B_ALONG_TERMS, 0);
KILN_TUNING(2, STORE_ONES, 0);

KILN_TEXELS(0, a);
KILN_TEXELS(1, b);
KILN_OUT_ANY(2, c);
KILN_OUT_FOURS(2, c);

uint row, column, batch;                /* of the tile's first result */
uint a_first, b_first;                  /* of the batch's matrices */
uint a_at[8], b_at[8];                  /* rows and columns; beyond the edge the last ones again */

vec4 a_four(uint i) { return texelFetch(a, int(i / 4u)); }
vec4 b_four(uint i) { return texelFetch(b, int(i / 4u)); }
vec4 b_ones(uint first, uint k)
{
    return vec4(texelFetch(b, int(b_at[first] + k)).r, texelFetch(b, int(b_at[first + 1u] + k)).r,
                texelFetch(b, int(b_at[first + 2u] + k)).r, texelFetch(b, int(b_at[first + 3u] + k)).r);
}

/* The rows of a, columns of b, at terms k to k + 3. */
void read_a(uint k, out kiln_slab slab)
{
    if (A_ALONG_ROWS != 0u) {
        [[unroll]] for (uint t = 0; t < 4; t++) {
            slab.low[t] = a_four(a_at[0] + (k + t) * p.a_k);
            slab.high[t] = a_four(a_at[4] + (k + t) * p.a_k);
        }
        return;
    }
    vec4 rows[8];
    [[unroll]] for (uint i = 0; i < 8; i++)
        rows[i] = a_four(a_at[i] + k);
    kiln_turn(rows, slab);
}

void read_b(uint k, out kiln_slab slab)
{
#ifdef ONES
    [[unroll]] for (uint t = 0; t < 4; t++) {
        slab.low[t] = b_ones(0u, (k + t) * p.b_k);
        slab.high[t] = b_ones(4u, (k + t) * p.b_k);
    }
#else
    if (B_ALONG_TERMS == 0u) {
        [[unroll]] for (uint t = 0; t < 4; t++) {
            slab.low[t] = b_four(b_at[0] + (k + t) * p.b_k);
            slab.high[t] = b_four(b_at[4] + (k + t) * p.b_k);
        }
        return;
    }
    vec4 columns[8];
    [[unroll]] for (uint j = 0; j < 8; j++)
        columns[j] = b_four(b_at[j] + k);
    kiln_turn(columns, slab);
#endif
}

void store(uint i, uint quad, vec4 sum)
{
    const uint first = column + 4u * quad, at = p.c_first + batch * p.c_batch + (row + i) * p.c_m + first;
    if (row + i >= p.m)
        return;
    if (STORE_ONES != 0u) {
        [[dont_unroll]] for (uint j = 0; j < 4; j++)
            if (first + j < p.n)
                KILN_SAVE(2, c, at + j, kiln_epilogue(sum[j], at + j, row + i, first + j));
        return;
    }
    if (first >= p.n)
        return;
    uvec4 bits;
    [[unroll]] for (uint j = 0; j < 4; j++)
        bits[j] = kiln_epilogue(sum[j], at + j, row + i, first + j);
    KILN_SAVE_FOUR(2, c, at / 4u, bits);
}

/* Element of row (column) i of the tile; fours begin at multiples of four. */
uint place(uint i, uint first, uint end, bool fours) { return fours ? min(first + i, end - 4u) : min(first + i, end - 1u); }

void main()
{
    KILN_GROUP(group);
    const uint across = (p.n + 7u) / 8u, down = (p.m + 7u) / 8u;
    const uint tile = group * LANES + LANE;
    column = tile % across * 8u;
    row = tile / across % down * 8u;
    batch = tile / across / down;
    if (batch >= p.batch)
        return;

    const uint batch2 = batch % p.batch2, batch1 = batch / p.batch2 % p.batch1, batch0 = batch / p.batch2 / p.batch1;
    a_first = p.a_first + batch0 * p.a_batch0 + batch1 * p.a_batch1 + batch2 * p.a_batch2;
    b_first = p.b_first + batch0 * p.b_batch0 + batch1 * p.b_batch1 + batch2 * p.b_batch2;
    [[unroll]] for (uint i = 0; i < 8; i++) {
        a_at[i] = a_first + place(i, row, p.m, A_ALONG_ROWS != 0u) * p.a_m;
#ifdef ONES
        b_at[i] = b_first + place(i, column, p.n, false) * p.b_n;
#else
        b_at[i] = b_first + (B_ALONG_TERMS != 0u ? place(i, column, p.n, false) : place(i, column, (p.n + 3u) & ~3u, true)) * p.b_n;
#endif
    }

    kiln_clear();
    for (uint k = 0; k < p.k; k += 4u) {
        kiln_slab rows, columns;
        read_a(k, rows);
        read_b(k, columns);
        kiln_accumulate(rows, columns);
    }
    KILN_STORE_FOURS;
}
