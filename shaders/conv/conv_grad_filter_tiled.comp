#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv_grad_filter, tiled - the gradient of convolution by its filters (conv.h) as a product of matrices through shared memory:
 * filters by their places (c, t, u, v), summed over the positions of a split.
 *
 * bindings   0: y in    1: x in    2: w out
 * dispatch   a workgroup a tile (tiled.glsl) of filters and of places
 * variants   -DCOOP: by matrix units (coop_tiled.glsl)
 */
#include "kiln.glsl"
#include "conv.h"
#include "conv.glsl"

#define A_SLOT 0
#define B_SLOT 1
#ifdef COOP
#define B_ALONG_TERMS true
#else
#define FEW false       /* a term is a position of an image */
#endif
#include "terms.glsl"
KILN_OUT_ANY(2, w);

uint first_filter, first_place, first_term;     /* of the tile; the filter counted through all groups */
uint w_at;                                      /* its split's first element */
float inverse_plane, inverse_oh, inverse_ow;

kiln_term kiln_meet(uint term)
{
    const uint plane = kiln_volume(kiln_out_size()), n = kiln_count(first_term + term, plane, inverse_plane);
    const uint position = first_term + term - n * plane, row = kiln_count(position, p.ow, inverse_ow);
    const uint a = VOLUME ? kiln_count(row, p.oh, inverse_oh) : 0u;
    const ivec3 further = ivec3(a * p.stride_a, (row - a * p.oh) * p.stride_i, (position - row * p.ow) * p.stride_j);
    return kiln_term(n * p.y_image + position, n * p.x_image + kiln_ravel(uvec3(further), b_size), further);
}

void store_at(uint row, uint column, float sum)
{
    KILN_SAVE(2, w, w_at + (first_filter + row) * p.w_filter + first_place + column, floatBitsToUint(sum));
}

#ifdef COOP
#include "coop_tiled.glsl"
#else
#include "tiled.glsl"
#endif

void set_b(uint channel, uint tap, uint image)
{
    b_size = kiln_in_size();
    kiln_set_axes(0u);
    origin[0] = kiln_origin(uvec3(0u)) + kiln_further(kiln_unravel(tap, uvec3(p.t, p.u, p.v)));
    b_at[0] = p.x_first + image * p.x_image + channel * kiln_volume(b_size) + kiln_ravel(uvec3(origin[0]), b_size);
}

void main()
{
    KILN_GROUP(tile);
    const uint taps = p.t * p.u * p.v, places = p.channels * taps, plane = kiln_volume(kiln_out_size());
    const uint across = (places + TILE_COLUMNS - 1) / TILE_COLUMNS, down = (p.filters + TILE_ROWS - 1) / TILE_ROWS;
    const uint row = tile / across % down * TILE_ROWS, conv_group = tile / across / down % p.groups;
    const uint split = tile / across / down / p.groups, image = split / p.pieces * p.per_split;
    first_place = tile % across * TILE_COLUMNS;
    first_filter = conv_group * p.filters + row;
    first_term = split % p.pieces * (plane / p.pieces);
    w_at = p.w_first + split * p.part;
    inverse_plane = 1.0 / float(plane);
    inverse_oh = 1.0 / float(p.oh);
    inverse_ow = 1.0 / float(p.ow);

    end_term = (min(image + p.per_split, p.images) - image) * plane / p.pieces;
    a_row = plane;
    a_at = p.y_first + image * p.y_image + first_filter * plane;
    const uint place = min(first_place + LANE % TILE_COLUMNS, places - 1u);
    set_b(conv_group * p.channels + place / taps, place % taps, image);
#ifdef COOP
    b_step = p.stride_j;
    b_last = int(p.x_first + (p.images - 1u) * p.x_image + p.groups * p.channels * kiln_volume(b_size) - 1u) / 4;
#endif
    kiln_tile(p.filters - row, places - first_place, end_term);
}
