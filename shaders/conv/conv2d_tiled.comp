#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv2d, tiled - y[n, g, o, i, j] = epilogue(sum over c u v of x[n, g, c, i', j'] * w[g, o, c, u, v]), see conv2d.h, as a
 * product of matrices through shared memory: filters by positions, summed over (c, u, v).
 *
 * bindings   0: x in    1: w in    2: y out    3, 4: operands of the epilogue
 * dispatch   a workgroup of 128 a tile of 64 filters and 64 positions, which count through all images
 */
#include "kiln.glsl"
#include "conv2d.h"
#include "epilogue.glsl"
#include "quotient.glsl"

KILN_IN(0, T, x);
KILN_IN(1, T, w);
KILN_OUT_ANY(2, y);

uint first_filter, first_position, conv_group;  /* of the tile */
uint x_at;                                      /* channel 0 of the group in this invocation's image */
int top, left;                                  /* where the filter meets the picture there */
float inverse_taps, inverse_v;

#define A_ALONG_TERMS true
#define B_ALONG_TERMS false

float load_a(uint row, uint term) { return float(w[(first_filter + row) * p.channels * p.u * p.v + term]); }

/* column is the same in every call of an invocation: main() has worked out what follows from it. */
float load_b(uint term, uint column)
{
    const uint c = kiln_quotient(term, p.u * p.v, inverse_taps), tap = term - c * p.u * p.v;
    const uint u = kiln_quotient(tap, p.v, inverse_v), v = tap - u * p.v;
    const uint r = uint(top + int(u * p.dilation_i)), s = uint(left + int(v * p.dilation_j));
    return r < p.h && s < p.w ? float(x[x_at + (c * p.h + r) * p.w + s]) : 0.0;
}

void store_at(uint row, uint column, float sum)
{
    const uint plane = p.oh * p.ow, position = first_position + column;
    const uint at = position / plane * p.y_image + (first_filter + row) * plane + position % plane;
    KILN_SAVE(2, y, at, kiln_epilogue(sum, at, 0u, first_filter + row));
}

#include "store.glsl"
#include "tiled.glsl"

void main()
{
    KILN_GROUP(tile);
    const uint plane = p.oh * p.ow, positions = p.images * plane;
    const uint across = (positions + TILE - 1) / TILE, down = (p.filters + TILE - 1) / TILE;
    const uint row = tile / across % down * TILE;
    first_position = tile % across * TILE;
    conv_group = tile / across / down;
    first_filter = conv_group * p.filters + row;

    const uint position = first_position + LANE % TILE, place = position % plane;
    x_at = position / plane * p.x_image + conv_group * p.channels * p.h * p.w;
    top = int(place / p.ow * p.stride_i) - int(p.pad_i);
    left = int(place % p.ow * p.stride_j) - int(p.pad_j);
    inverse_taps = 1.0 / float(p.u * p.v);
    inverse_v = 1.0 / float(p.v);
    kiln_tile(p.filters - row, positions - first_position, p.channels * p.u * p.v);
}
