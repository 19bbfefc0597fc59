#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv_winograd_in, lines - transform the tiles of x (conv_winograd_in.h), four tiles of a channel an invocation. For drivers that run on
 * the CPU: x is read in fours, and v is stored in fours.
 *
 * bindings   0: x    1: v
 * dispatch   an invocation four columns of a channel
 * tuning     0: SHIFT (lines.glsl)
 */
#include "kiln.glsl"
#include "conv_winograd_in.h"
#include "winograd.glsl"

KILN_TEXELS(0, x);
KILN_OUT(1, vec4, v);

/* A tile is six lines of six elements: what windows of three meet. */
#define TAPS 3
#define STRIDE 1
#include "lines.glsl"

uint channel;
float tile_at[6][6];

/* (B^T tile B)[i][j] of the tile of a column; those beyond the last tile are zeros. */
void transform(uint column)
{
    const uint tiles = p.down * p.across, image = min(column / tiles, p.images - 1u);
    const uint tile = column - image * tiles, row = tile / p.across;
    const int first = int((image * p.channels + channel) * p.h * p.w), last = int((p.images * p.channels * p.h * p.w - 1u) / 4u);
    const int top = int(4u * row) - p.pad_i, left = int(4u * (tile - row * p.across)) - p.pad_j;

    float rows[6][6];                   /* x B, turned */
    [[unroll]] for (int i = 0; i < 6; i++) {
        float t[6];
        kiln_read_line(first + (top + i) * int(p.w) + left, last);
        const bool is_there = tile < tiles && uint(top + i) < p.h;
        [[unroll]] for (int j = 0; j < 6; j++)
            line[j] = is_there && uint(left + j) < p.w ? line[j] : 0.0;
        kiln_to_tile(line, t);
        [[unroll]] for (int j = 0; j < 6; j++)
            rows[j][i] = t[j];
    }
    [[unroll]] for (int j = 0; j < 6; j++) {
        float t[6];
        kiln_to_tile(rows[j], t);
        [[unroll]] for (int i = 0; i < 6; i++)
            tile_at[i][j] = t[i];
    }
}

void main()
{
    KILN_GROUP(group);
    const uint fours = p.columns / 4u, e = group * LANES + LANE, four = e % fours;
    channel = e / fours;
    if (channel >= p.channels)
        return;

    vec4 place[6][6];
    [[unroll]] for (uint k = 0; k < 4; k++) {
        transform(4u * four + k);
        [[unroll]] for (uint i = 0; i < 6; i++)
            [[unroll]] for (uint j = 0; j < 6; j++)
                place[i][j][k] = tile_at[i][j];
    }
    [[unroll]] for (uint i = 0; i < 6; i++)
        [[unroll]] for (uint j = 0; j < 6; j++)
            v[((i * 6u + j) * p.channels + channel) * fours + four] = place[i][j];
}
