#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv_winograd_out, fours - what transformed tiles give (conv_winograd_out.h), four tiles of a filter an invocation. For drivers that run
 * on the CPU: m is read in fours, and y is stored in fours where its lines are whole ones.
 *
 * bindings   0: m    1: y    2, 3: operands of the epilogue
 * dispatch   an invocation four columns of a filter
 * tuning     0: STORE_ONES, results are stored one by one
 */
#define KILN_EPILOGUE_SLOT0 2
#define KILN_EPILOGUE_SLOT1 3
#define REAL vec4
#include "kiln.glsl"
#include "conv_winograd_out.h"
#include "winograd.glsl"
#include "epilogue.glsl"
#include "light.glsl"

KILN_TUNING(0, STORE_ONES, 1);

KILN_TEXELS(0, m);
KILN_OUT_ANY(1, y);
KILN_OUT_FOURS(1, y);

uint filter_index;
uvec2 of_filter;                        /* operands of the epilogue */

void store_line(uint at, vec4 line, uint count)
{
    KILN_SAVE_LINE(1, y, at, line, of_filter, filter_index, count, STORE_ONES != 0u);
}

void store_tile(uint column, vec4 lines[4])
{
    const uint tiles = p.down * p.across, image = column / tiles, tile = column - image * tiles, row = tile / p.across;
    const uint top = 4u * row, left = 4u * (tile - row * p.across);
    if (image >= p.images)
        return;
    const uint at = ((image * p.filters + filter_index) * p.oh + top) * p.ow + left;
    [[unroll]] for (uint i = 0; i < 4; i++)
        if (top + i < p.oh)
            store_line(at + i * p.ow, lines[i], min(4u, p.ow - left));
}

void main()
{
    KILN_GROUP(group);
    const uint fours = p.columns / 4u, e = group * LANES + LANE, four = e % fours;
    filter_index = e / fours;
    if (filter_index >= p.filters)
        return;
    of_filter = kiln_epilogue_common(KILN_WALK_COLUMN, filter_index);

    vec4 columns[4][6];                 /* A^T m */
    [[unroll]] for (uint j = 0; j < 6; j++) {
        vec4 place[6], t[4];
        [[unroll]] for (uint i = 0; i < 6; i++)
            place[i] = texelFetch(m, int(((i * 6u + j) * p.rows + filter_index) * fours + four));
        kiln_from_tile(place, t);
        [[unroll]] for (uint i = 0; i < 4; i++)
            columns[i][j] = t[i];
    }
    vec4 result[4][4];
    [[unroll]] for (uint i = 0; i < 4; i++)
        kiln_from_tile(columns[i], result[i]);

    [[unroll]] for (uint k = 0; k < 4; k++) {
        vec4 lines[4];
        [[unroll]] for (uint i = 0; i < 4; i++)
            lines[i] = vec4(result[i][0][k], result[i][1][k], result[i][2][k], result[i][3][k]);
        store_tile(4u * four + k, lines);
    }
}
