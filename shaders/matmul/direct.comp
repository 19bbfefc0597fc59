#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * matmul, direct - c[b, m, n] = epilogue(sum over k of a[b, m, k] * b[b, k, n]), 8 x 8 results an invocation.
 *
 * bindings   0: a in    1: b in    2: c out    3, 4: operands of the epilogue
 * dispatch   an invocation a tile, tiles of a row of tiles side by side
 * variants   -DTEXELS: a and b through texel buffers
 */
#include "kiln.glsl"
#include "matmul.h"
#include "epilogue.glsl"
#include "store.glsl"
#include "direct.glsl"

KILN_OUT_ANY(2, c);

uint row, column, batch;                /* of the tile's first result */

void store(uint i, uint j, float sum)
{
    if (row + i >= p.m || column + j >= p.n)
        return;
    const uint at = p.c_first + batch * p.c_batch + (row + i) * p.c_m + column + j;
    KILN_SAVE(2, c, at, kiln_epilogue(sum, at, row + i, column + j));
}

void main()
{
    KILN_GROUP(group);
    const uint across = (p.n + SIDE - 1) / SIDE, down = (p.m + SIDE - 1) / SIDE;
    const uint tile = group * LANES + LANE;
    column = tile % across * SIDE;
    row = tile / across % down * SIDE;
    batch = tile / across / down;
    if (batch >= p.batch)
        return;

    const uint a_first = p.a_first + KILN_MATRIX_AT(p, a, batch);
    const uint b_first = p.b_first + KILN_MATRIX_AT(p, b, batch);

    uint a_at[SIDE], b_at[SIDE];        /* beyond the edge the last row and column again */
    [[unroll]] for (uint i = 0; i < SIDE; i++) {
        a_at[i] = a_first + min(row + i, p.m - 1) * p.a_m;
        b_at[i] = b_first + min(column + i, p.n - 1) * p.b_n;
    }

    kiln_clear();
    for (uint k = 0; k < p.k; k++) {
        float a_k[SIDE], b_k[SIDE];
        [[unroll]] for (uint i = 0; i < SIDE; i++) {
            a_k[i] = KILN_A(a_at[i] + k * p.a_k);
            b_k[i] = KILN_B(b_at[i] + k * p.b_k);
        }
        kiln_accumulate(a_k, b_k);
    }

    KILN_STORE_ALL(SIDE, SIDE, KILN_SUM(i, j));
}
