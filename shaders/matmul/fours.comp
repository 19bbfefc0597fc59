#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * matmul, fours - as direct.comp, with operands read four elements at a time, along whichever axis they lie side by side: a driver on
 * the CPU loads each in one instruction. Sums go on by four terms; results are stored in fours, too.
 *
 * bindings   0: a in    1: b in    2: c out    3, 4: operands of the epilogue
 * dispatch   an invocation a tile of ROWS x (4 QUADS), those of a workgroup side by side
 * tuning     0: A_ALONG_ROWS, a's fours are rows, else terms    1: B_ALONG_TERMS, b's fours are terms, else columns
 *            2: STORE_ONES, results are stored one by one    3: SHIFT, how far behind a multiple of four b's second row of columns begins
 * variants   -DONES: b is read one by one, whatever its strides
 *            -DQUADS=4: wide tiles    -DROWS=16, too: tall ones    -DQUADS=1 -DROWS=32: narrow ones
 */
#include "kiln.glsl"
#include "matmul.h"
#include "fours_tile.glsl"

uint a_at[ROWS];                        /* rows; beyond the edge the last ones again */

#ifdef ONES

float b_one(uint j, uint k) { return texelFetch(b, int(b_first + min(column + j, p.n - 1u) * p.b_n + k * p.b_k)).r; }

void read_b(uint k, out vec4 columns[4][QUADS])
{
    [[unroll]] for (uint t = 0; t < 4; t++)
        [[unroll]] for (uint q = 0; q < QUADS; q++)
            [[unroll]] for (uint j = 0; j < 4; j++)
                columns[t][q][j] = b_one(4u * q + j, k + t);
}

#else

/* Of terms side by side: a column's four of them each. */
void read_terms(uint k, out vec4 columns[4][QUADS])
{
    [[unroll]] for (uint q = 0; q < QUADS; q++)
        [[unroll]] for (uint j = 0; j < 4; j++) {
            const vec4 four = texelFetch(b, int((b_first + min(column + 4u * q + j, p.n - 1u) * p.b_n + k) / 4u));
            [[unroll]] for (uint t = 0; t < 4; t++)
                columns[t][q][j] = four[t];
        }
}

/* Of columns side by side: those of one term, in fours that begin before them where rows have no whole fours. */
void read_columns(uint k, uint shift, out vec4 line[QUADS])
{
    const uint four = (b_first + k * p.b_k + column) / 4u;
    vec4 next = b_four(four);
    [[unroll]] for (uint q = 0; q < QUADS; q++) {
        const vec4 here = next;
        if (q + 1u < QUADS || shift != 0u)
            next = b_four(four + q + 1u);
        line[q] = kiln_behind(here, next, shift);
    }
}

void read_b(uint k, out vec4 columns[4][QUADS])
{
    if (B_ALONG_TERMS != 0u) {
        read_terms(k, columns);
        return;
    }
    [[unroll]] for (uint t = 0; t < 4; t++)
        read_columns(k + t, (t * SHIFT) & 3u, columns[t]);
}

#endif

void multiply_rows(uint k, vec4 columns[4][QUADS])
{
    if (A_ALONG_ROWS == 0u) {
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            kiln_accumulate(i, a_four(a_at[i] + k), columns);
        return;
    }
    [[unroll]] for (uint h = 0; h < ROWS; h += 4) {
        vec4 rows[4];
        [[unroll]] for (uint t = 0; t < 4; t++)
            rows[t] = a_four(a_at[h] + (k + t) * p.a_k);
        [[unroll]] for (uint i = 0; i < 4; i++)
            kiln_accumulate(h + i, vec4(rows[0][i], rows[1][i], rows[2][i], rows[3][i]), columns);
    }
}

uvec2 row_operands(uint i) { return kiln_epilogue_common(KILN_WALK_ROW, row + i); }

void store_loose(uint at, uvec4 bits[QUADS])
{
    [[unroll]] for (uint j = 0; j < COLUMNS; j++)
        if (column + j < p.n)
            KILN_SAVE(2, c, at + j, bits[j / 4u][j % 4u]);
}

/*
 * Where this invocation's tile lies. As many columns of tiles as a workgroup has lanes are gone through from top to bottom before the
 * next ones, so that what they read of b is read from far away once; what is left of columns is narrower.
 */
void find_tile(uint tile)
{
    const uint across = (p.n + COLUMNS - 1u) / COLUMNS, down = (p.m + ROWS - 1u) / ROWS, whole = across / LANES * LANES;
    batch = tile / (across * down);
    tile -= batch * across * down;
    const bool is_whole = tile < whole * down;
    const uint width = is_whole ? LANES : across - whole, first = is_whole ? tile / (LANES * down) * LANES : whole;
    tile -= first * down;
    column = (first + tile % width) * COLUMNS;
    row = tile / width * ROWS;
}

void main()
{
    KILN_GROUP(group);
    find_tile(group * LANES + LANE);
    if (batch >= p.batch)
        return;

    find_matrices();
    [[unroll]] for (uint i = 0; i < ROWS; i++)      /* fours of rows begin at multiples of four */
        a_at[i] = a_first + (A_ALONG_ROWS != 0u ? min(row + i, p.m - 4u) : min(row + i, p.m - 1u)) * p.a_m;

    kiln_clear();
    for (uint k = 0; k < p.k; k += 4u) {
        vec4 columns[4][QUADS];
        read_b(k, columns);
        multiply_rows(k, columns);
    }
    store_tile();
}
