#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv2d_grad_filter, tiled - dw[s, g, o, c, u, v] = sum over n of split s, i, j of dy[n, g, o, i, j] * x[n, g, c, i', j'], see
 * conv2d.h, as a product of matrices through shared memory: filters by their places (c, u, v), summed over positions.
 *
 * bindings   0: dy in    1: x in    2: dw out
 * dispatch   a workgroup of 128 a tile of 64 filters and 64 places
 */
#include "kiln.glsl"
#include "conv2d.h"
#include "quotient.glsl"

KILN_IN(0, T, dy);
KILN_IN(1, T, x);
KILN_OUT_ANY(2, dw);

uint first_filter, first_place, first_image;    /* of the tile; the filter counted through all groups */
uint dw_first;
uint x_at;                                      /* this invocation's channel in the split's first image */
int top, left;                                  /* where its place meets the picture at position (0, 0) */
float inverse_plane, inverse_ow;

#define A_ALONG_TERMS true
#define B_ALONG_TERMS false

float load_a(uint row, uint term)
{
    const uint plane = p.oh * p.ow, n = kiln_quotient(term, plane, inverse_plane);
    return float(dy[(first_image + n) * p.y_image + (first_filter + row) * plane + term - n * plane]);
}

/* column is the same in every call of an invocation: main() has worked out what follows from it. */
float load_b(uint term, uint column)
{
    const uint n = kiln_quotient(term, p.oh * p.ow, inverse_plane), position = term - n * p.oh * p.ow;
    const uint i = kiln_quotient(position, p.ow, inverse_ow), j = position - i * p.ow;
    const uint r = uint(top + int(i * p.stride_i)), s = uint(left + int(j * p.stride_j));
    return r < p.h && s < p.w ? float(x[x_at + n * p.x_image + r * p.w + s]) : 0.0;
}

void store_at(uint row, uint column, float sum)
{
    const uint at = dw_first + (first_filter + row) * p.channels * p.u * p.v + first_place + column;
    KILN_SAVE(2, dw, at, floatBitsToUint(sum));
}

#include "store.glsl"
#include "tiled.glsl"

void main()
{
    KILN_GROUP(tile);
    const uint places = p.channels * p.u * p.v;
    const uint across = (places + TILE - 1) / TILE, down = (p.filters + TILE - 1) / TILE;
    const uint row = tile / across % down * TILE, conv_group = tile / across / down % p.groups;
    const uint split = tile / across / down / p.groups;
    first_place = tile % across * TILE;
    first_filter = conv_group * p.filters + row;
    first_image = split * p.per_split;
    dw_first = split * p.part;

    const uint place = first_place + LANE % TILE;
    x_at = first_image * p.x_image + (conv_group * p.channels + place / (p.u * p.v)) * p.h * p.w;
    top = int(place / p.v % p.u * p.dilation_i) - int(p.pad_i);
    left = int(place % p.v * p.dilation_j) - int(p.pad_j);
    inverse_plane = 1.0 / float(p.oh * p.ow);
    inverse_ow = 1.0 / float(p.ow);
    const uint images = min(first_image + p.per_split, p.images) - first_image;
    kiln_tile(p.filters - row, places - first_place, images * p.oh * p.ow);
}
