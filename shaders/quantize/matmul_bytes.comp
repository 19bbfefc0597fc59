#version 450
#extension GL_EXT_control_flow_attributes : require
#ifdef DOT
#extension GL_EXT_spirv_intrinsics : require
#endif
/*
 * matmul_bytes - c[b, m, n] = sum over k of (a[b, m, k] - za[m]) * (b[b, n, k] - zb[n]) of packed bytes, see matmul_bytes.h.
 *
 * bindings   0: a in    1: b in    2: a_zero in    3: b_zero in    4: c out
 * dispatch   a workgroup of 128 a tile of 64 x 64
 * variants   -DDOT: by the device's integer dot product
 */
#include "kiln.glsl"
#include "matmul_bytes.h"

KILN_CONSTANT(0, ZEROS);

KILN_IN(0, uint, a);
KILN_IN(1, uint, b);
KILN_IN(2, int, a_zero);
KILN_IN(3, int, b_zero);
KILN_OUT(4, int, c);

#define A_ALONG_TERMS true
#define B_ALONG_TERMS true
#define A_ZERO ((ZEROS & KILN_BYTES_A_ZERO) != 0u)
#define B_ZERO ((ZEROS & KILN_BYTES_B_ZERO) != 0u)

uint a_first, b_first, c_first;         /* of the tile */
uint first_row, first_column;

uint load_a(uint row, uint word) { return a[a_first + row * p.quads + word]; }
uint load_b(uint word, uint column) { return b[b_first + column * p.quads + word]; }

int zero_a(uint row)
{
    return ((ZEROS & KILN_BYTES_A_BOUND) != 0u ? a_zero[(first_row + row) * p.a_step] : 0) - int(p.a_flip);
}

int zero_b(uint column)
{
    return ((ZEROS & KILN_BYTES_B_BOUND) != 0u ? b_zero[(first_column + column) * p.b_step] : 0) - int(p.b_flip);
}

void store_at(uint row, uint column, int sum) { c[c_first + row * p.c_m + column] = sum; }

#include "bytes.glsl"

void main()
{
    KILN_GROUP(tile);
    const uint across = (p.n + TILE - 1) / TILE, down = (p.m + TILE - 1) / TILE;
    first_column = tile % across * TILE;
    first_row = tile / across % down * TILE;
    const uint batch = tile / across / down;

    a_first = KILN_MATRIX_AT(p, a, batch) + first_row * p.quads;
    b_first = KILN_MATRIX_AT(p, b, batch) + first_column * p.quads;
    c_first = batch * p.c_batch + first_row * p.c_m + first_column;
    kiln_tile(p.m - first_row, p.n - first_column, p.quads, p.depth);
}
