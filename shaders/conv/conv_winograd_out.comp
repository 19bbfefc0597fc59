#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv_winograd_out - what transformed tiles give (conv_winograd_out.h), tiles of -DTILE results a side; an invocation a tile of a
 * filter, tiles side by side.
 *
 * bindings   0: m    1: y    2, 3: operands of the epilogue
 * dispatch   an invocation a tile of a filter
 */
#define KILN_EPILOGUE_SLOT0 2
#define KILN_EPILOGUE_SLOT1 3
#include "kiln.glsl"
#include "conv_winograd_out.h"
#include "winograd.glsl"
#include "epilogue.glsl"
#include "store.glsl"

KILN_IN(0, float, m);
KILN_OUT_ANY(1, y);

uint filter_index, image, top, left;    /* of the tile's first result */

void store(uint i, uint j, float value)
{
    if (top + i >= p.oh || left + j >= p.ow)
        return;
    const uint at = ((image * p.filters + filter_index) * p.oh + top + i) * p.ow + left + j;
    KILN_SAVE(1, y, at, kiln_epilogue(value, at, 0u, filter_index));
}

void main()
{
    KILN_GROUP(group);
    const uint tiles = p.down * p.across, all = p.images * tiles;
    const uint e = group * LANES + LANE, column = e % all;
    filter_index = e / all;
    if (filter_index >= p.filters)
        return;
    image = column / tiles;
    const uint tile = column - image * tiles, row = tile / p.across;
    top = TILE * row;
    left = TILE * (tile - row * p.across);

    float columns[TILE][IN];               /* A^T m */
    [[unroll]] for (uint j = 0; j < IN; j++) {
        float place[IN], t[TILE];
        [[unroll]] for (uint i = 0; i < IN; i++)
            place[i] = m[((i * IN + j) * p.rows + filter_index) * p.columns + column];
        kiln_from_tile(place, t);
        [[unroll]] for (uint i = 0; i < TILE; i++)
            columns[i][j] = t[i];
    }
    float result[TILE][TILE];
    [[unroll]] for (uint i = 0; i < TILE; i++)
        kiln_from_tile(columns[i], result[i]);
    KILN_STORE_ALL(TILE, TILE, result[i][j]);
}
