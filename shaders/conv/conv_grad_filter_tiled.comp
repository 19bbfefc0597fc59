#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv_grad_filter, tiled - the gradient of convolution by its filters (conv.h) as a product of matrices through shared memory:
 * filters by their places (c, t, u, v), summed over the positions of a split.
 *
 * bindings   0: y in    1: x in    2: w out
 * dispatch   a workgroup a tile (tiled.glsl) of filters and of places
 */
#include "kiln.glsl"
#include "conv.h"
#include "conv.glsl"
#include "quotient.glsl"

KILN_IN(0, T, y);
KILN_IN(1, T, x);
KILN_OUT_ANY(2, w);

uint first_filter, first_place, first_image, first_term;    /* of the tile; the filter counted through all groups */
uint w_at;                                      /* its split's first element */
uint x_at;                                      /* this invocation's channel in the split's first image */
ivec3 origin;                                   /* where its place meets x at position 0 */
float inverse_plane, inverse_oh, inverse_ow;

#define LOADED float
#define A_ALONG_TERMS true
#define B_ALONG_TERMS false

LOADED load_a(uint row, uint term)
{
    const uint plane = kiln_volume(kiln_out_size()), place = first_term + term, n = kiln_quotient(place, plane, inverse_plane);
    return float(y[p.y_first + (first_image + n) * p.y_image + (first_filter + row) * plane + place - n * plane]);
}

/* column is the same in every call of an invocation: main() has worked out what follows from it. */
LOADED load_b(uint term, uint column)
{
    const uvec3 size = kiln_in_size();
    const uint plane = kiln_volume(kiln_out_size()), n = kiln_quotient(first_term + term, plane, inverse_plane);
    const uint position = first_term + term - n * plane, row = kiln_quotient(position, p.ow, inverse_ow);
    const uint a = VOLUME ? kiln_quotient(row, p.oh, inverse_oh) : 0u;
    const ivec3 at = origin + ivec3(a * p.stride_a, (row - a * p.oh) * p.stride_i, (position - row * p.ow) * p.stride_j);
    const bool inside = kiln_inside(at, size);
    const float value = float(x[inside ? x_at + n * p.x_image + kiln_ravel(uvec3(at), size) : x_at]);
    return inside ? value : 0.0;
}

void store_at(uint row, uint column, float sum)
{
    KILN_SAVE(2, w, w_at + (first_filter + row) * p.w_filter + first_place + column, floatBitsToUint(sum));
}

#include "tiled.glsl"

void main()
{
    KILN_GROUP(tile);
    const uint taps = p.t * p.u * p.v, places = p.channels * taps, plane = kiln_volume(kiln_out_size());
    const uint across = (places + TILE_COLUMNS - 1) / TILE_COLUMNS, down = (p.filters + TILE_ROWS - 1) / TILE_ROWS;
    const uint row = tile / across % down * TILE_ROWS, conv_group = tile / across / down % p.groups;
    const uint split = tile / across / down / p.groups;
    first_place = tile % across * TILE_COLUMNS;
    first_filter = conv_group * p.filters + row;
    first_image = split / p.pieces * p.per_split;
    first_term = split % p.pieces * (plane / p.pieces);
    w_at = p.w_first + split * p.part;

    const uint place = min(first_place + LANE % TILE_COLUMNS, places - 1u);
    const uint channel = conv_group * p.channels + place / taps;
    x_at = p.x_first + first_image * p.x_image + channel * kiln_volume(kiln_in_size());
    kiln_set_axes(0u);
    origin = kiln_origin(uvec3(0u)) + kiln_further(kiln_unravel(place % taps, uvec3(p.t, p.u, p.v)));
    inverse_plane = 1.0 / float(plane);
    inverse_oh = 1.0 / float(p.oh);
    inverse_ow = 1.0 / float(p.ow);
    const uint images = min(first_image + p.per_split, p.images) - first_image;
    kiln_tile(p.filters - row, places - first_place, images * plane / p.pieces);
}
