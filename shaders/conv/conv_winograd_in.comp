#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv_winograd_in - transform the tiles of x (conv_winograd_in.h) of -DTILE results a side; an invocation a tile of a channel,
 * tiles side by side.
 *
 * bindings   0: x    1: v
 * dispatch   an invocation a column of a channel
 */
#include "kiln.glsl"
#include "conv_winograd_in.h"
#include "winograd.glsl"

KILN_IN(0, float, x);
KILN_OUT(1, float, v);

bool there;                             /* columns beyond the last tile are zeros */

/* An element of the channel that begins at `first`; outside zero, and the load is of what is there. */
float element(uint first, int i, int j)
{
    const bool inside = there && uint(i) < p.h && uint(j) < p.w;
    const float value = x[inside ? first + uint(i) * p.w + uint(j) : first];
    return inside ? value : 0.0;
}

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE, channel = e / p.columns, column = e - channel * p.columns;
    if (channel >= p.channels)
        return;
    const uint tiles = p.down * p.across, image = min(column / tiles, p.images - 1u);
    const uint tile = column - image * tiles, row = tile / p.across;
    const uint first = (image * p.channels + channel) * p.h * p.w;
    there = tile < tiles;
    const int top = int(TILE * row) - p.pad_i, left = int(TILE * (tile - row * p.across)) - p.pad_j;

    float rows[IN][IN];                  /* x B, turned */
    [[unroll]] for (int i = 0; i < IN; i++) {
        float d[IN], t[IN];
        [[unroll]] for (int j = 0; j < IN; j++)
            d[j] = element(first, top + i, left + j);
        kiln_to_tile(d, t);
        [[unroll]] for (int j = 0; j < IN; j++)
            rows[j][i] = t[j];
    }
    [[unroll]] for (uint j = 0; j < IN; j++) {
        float t[IN];
        kiln_to_tile(rows[j], t);
        [[unroll]] for (uint i = 0; i < IN; i++)
            v[((i * IN + j) * p.channels + channel) * p.columns + column] = t[i];
    }
}
