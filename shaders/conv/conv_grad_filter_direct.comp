#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv_grad_filter, direct - the gradient of convolution by its filters (conv.h); 8 filters at 8 of their places (c, t, u, v)
 * an invocation.
 *
 * bindings   0: y in    1: x in    2: w out
 * dispatch   an invocation a tile
 * variants   -DTEXELS: y and x through texel buffers
 */
#include "kiln.glsl"
#include "conv.h"
#include "conv.glsl"
#include "store.glsl"
#include "direct.glsl"

KILN_OUT_ANY(2, w);

uint row, column, conv_group, split;    /* of the tile's first result */

void store(uint i, uint j, float sum)
{
    if (row + i >= p.filters || column + j >= p.channels * p.t * p.u * p.v)
        return;
    const uint at = p.w_first + split * p.part + (conv_group * p.filters + row + i) * p.w_filter + column + j;
    KILN_SAVE(2, w, at, floatBitsToUint(sum));
}

/* Add the products of one position. */
void add_position(uvec3 q, uint y_at[SIDE], uint x_at[SIDE], ivec3 origin[SIDE])
{
    const uvec3 size = kiln_in_size();
    const uint place = kiln_ravel(q, kiln_out_size());
    const ivec3 further = ivec3(q * uvec3(p.stride_a, p.stride_i, p.stride_j));
    float y_k[SIDE], x_k[SIDE];
    [[unroll]] for (uint k = 0; k < SIDE; k++) {
        const ivec3 at = origin[k] + further;
        const bool inside = kiln_inside(at, size);
        const float x = KILN_B(inside ? x_at[k] + kiln_ravel(uvec3(at), size) : p.x_first);
        x_k[k] = inside ? x : 0.0;
        y_k[k] = KILN_A(y_at[k] + place);
    }
    kiln_accumulate(y_k, x_k);
}

void main()
{
    KILN_GROUP(group);
    const uint taps = p.t * p.u * p.v, places = p.channels * taps;
    const uint across = (places + SIDE - 1) / SIDE, down = (p.filters + SIDE - 1) / SIDE;
    const uint tile = group * LANES + LANE;
    column = tile % across * SIDE;
    row = tile / across % down * SIDE;
    conv_group = tile / across / down % p.groups;
    split = tile / across / down / p.groups;
    const uint begin = split * p.per_split, end = min(begin + p.per_split, p.images);
    if (split > 0 && begin >= p.images)
        return;
    kiln_set_axes(0u);

    uint y_at[SIDE], x_at[SIDE];        /* in the split's first image; beyond the edge the last filter and place again */
    ivec3 origin[SIDE];
    [[unroll]] for (uint i = 0; i < SIDE; i++) {
        const uint place = min(column + i, places - 1), filter_index = conv_group * p.filters + min(row + i, p.filters - 1);
        const uint channel = conv_group * p.channels + place / taps;
        y_at[i] = p.y_first + begin * p.y_image + filter_index * kiln_volume(kiln_out_size());
        x_at[i] = p.x_first + begin * p.x_image + channel * kiln_volume(kiln_in_size());
        origin[i] = kiln_origin(uvec3(0u)) + kiln_further(kiln_unravel(place % taps, uvec3(p.t, p.u, p.v)));
    }

    kiln_clear();
    for (uint n = begin; n < end; n++) {
        for (uint a = 0; a < (VOLUME ? p.od : 1u); a++)
            for (uint i = 0; i < p.oh; i++)
                for (uint j = 0; j < p.ow; j++)
                    add_position(uvec3(a, i, j), y_at, x_at, origin);
        [[unroll]] for (uint i = 0; i < SIDE; i++) {
            y_at[i] += p.y_image;
            x_at[i] += p.x_image;
        }
    }
    KILN_STORE_ALL(SIDE, SIDE, KILN_SUM(i, j));
}
