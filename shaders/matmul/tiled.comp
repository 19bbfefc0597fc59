#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * matmul, tiled - c[b, m, n] = epilogue(sum over k of a[b, m, k] * b[b, k, n]) through shared memory.
 *
 * bindings   0: a in    1: b in    2: c out    3, 4: operands of the epilogue
 * dispatch   a workgroup a tile (tiled.glsl)
 * variants   -DFOURS: a and b are read four elements at a time, along the axis on which they lie side by side: A_LIES and B_LIES say
 *            whether that is the terms'
 *            -DCOOP: by matrix units (coop_tiled.glsl)
 */
#include "kiln.glsl"
#include "matmul.h"
#include "epilogue.glsl"

#ifdef COOP
#include "coop.glsl"
#elif defined(FOURS)
#define LOADED vec4
#else
#define LOADED float
#endif
#include "raw.glsl"
KILN_IN(0, IN_MEMORY, a);
KILN_IN(1, IN_MEMORY, b);
#ifdef FOURS
#define KILN_A(i) RAW(a[(i) / 4u])
#define KILN_B(i) RAW(b[(i) / 4u])
#else
#define KILN_A(i) RAW(a[i])
#define KILN_B(i) RAW(b[i])
#endif
#define RAW_A RAW
#define RAW_B RAW
KILN_OUT_ANY(2, c);

#ifdef FOURS
KILN_TUNING(0, A_LIES, 1);
KILN_TUNING(1, B_LIES, 0);
#define A_ALONG_TERMS (A_LIES == 1u)
#define B_ALONG_TERMS (B_LIES == 1u)
#else
#define A_ALONG_TERMS (p.a_k == 1u)
#define B_ALONG_TERMS (p.b_k == 1u)
#endif

uint a_first, b_first, c_first;         /* of the tile */
uint first_row, first_column;

uint a_line(uint row, uint more) { return a_first + row * p.a_m + more * p.a_m; }
uint b_line(uint column, uint more) { return b_first + column * p.b_n + more * p.b_n; }

RAW load_a(uint line, uint term, out uint note)
{
    note = 0u;
    return KILN_A(line + term * p.a_k);
}

RAW load_b(uint line, uint term, out uint note)
{
    note = 0u;
    return KILN_B(line + term * p.b_k);
}

LOADED made_a(RAW raw, uint note) { return kiln_made(raw); }
LOADED made_b(RAW raw, uint note) { return kiln_made(raw); }

void store_at(uint row, uint column, float sum)
{
    const uint at = c_first + row * p.c_m + column;
    KILN_SAVE(2, c, at, kiln_epilogue(sum, at, first_row + row, first_column + column));
}

#ifdef COOP
#include "coop_tiled.glsl"
#else
#include "tiled.glsl"
#endif

void main()
{
    KILN_GROUP(tile);
    const uint across = (p.n + TILE_COLUMNS - 1) / TILE_COLUMNS, down = (p.m + TILE_ROWS - 1) / TILE_ROWS;
    first_column = tile % across * TILE_COLUMNS;
    first_row = tile / across % down * TILE_ROWS;
    const uint batch = tile / across / down;

    a_first = p.a_first + KILN_MATRIX_AT(p, a, batch) + first_row * p.a_m;
    b_first = p.b_first + KILN_MATRIX_AT(p, b, batch) + first_column * p.b_n;
    c_first = p.c_first + batch * p.c_batch + first_row * p.c_m + first_column;
    kiln_tile(p.m - first_row, p.n - first_column, p.k);
}
