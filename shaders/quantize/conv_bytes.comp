#version 450
#extension GL_EXT_control_flow_attributes : require
#ifdef DOT
#extension GL_EXT_spirv_intrinsics : require
#endif
/*
 * conv_bytes - convolution of packed bytes (conv_bytes.h) as a product of matrices through shared memory: filters by positions,
 * summed over (quad, t, u, v).
 *
 * bindings   0: x in    1: w in    2: x_zero in    3: w_zero in    4: y out
 * dispatch   a workgroup of 128 a tile of 64 filters and 64 positions, which count through all images
 * variants   -DDOT: by the device's integer dot product
 */
#include "kiln.glsl"
#include "conv_bytes.h"
#include "quotient.glsl"

KILN_CONSTANT(0, ZEROS);

KILN_IN(0, uint, x);
KILN_IN(1, uint, w);
KILN_IN(2, int, x_zero);
KILN_IN(3, int, w_zero);
KILN_OUT(4, int, y);

/* The rows of the product are filters, its columns positions. */
#define A_ALONG_TERMS true
#define B_ALONG_TERMS false
#define A_ZERO ((ZEROS & KILN_BYTES_B_ZERO) != 0u)
#define B_ZERO ((ZEROS & KILN_BYTES_A_ZERO) != 0u)

uint first_filter, first_position;      /* of the tile; the filter counted through all groups */
uint x_at;                              /* quad 0 of the group in this invocation's image */
ivec3 origin;                           /* where the filter begins there */
float inverse_taps, inverse_u, inverse_v;

uint load_a(uint row, uint word) { return w[(first_filter + row) * p.quads * p.t * p.u * p.v + word]; }

int zero_a(uint row)
{
    return ((ZEROS & KILN_BYTES_B_BOUND) != 0u ? w_zero[(first_filter + row) * p.w_step] : 0) - int(p.w_flip);
}

int zero_b(uint column) { return ((ZEROS & KILN_BYTES_A_BOUND) != 0u ? x_zero[0] : 0) - int(p.x_flip); }

/* Four channels of the padding: the zero point where there is a channel. */
uint padding(uint quad)
{
    const uint left = p.depth - 4u * quad, mask = left < 4u ? (1u << 8u * left) - 1u : 0xffffffffu;
    return (uint(zero_b(0u)) & 0xffu) * KILN_BYTES_ONES & mask;
}

/* column is the same in every call of an invocation: main() has worked out what follows from it. */
uint load_b(uint word, uint column)
{
    const uint taps = p.t * p.u * p.v, quad = kiln_quotient(word, taps, inverse_taps), tap = word - quad * taps;
    const uint row = kiln_quotient(tap, p.v, inverse_v), t = kiln_quotient(row, p.u, inverse_u);
    const uint a = uint(origin.x + int(t * p.dilation_a)), i = uint(origin.y + int((row - t * p.u) * p.dilation_i));
    const uint j = uint(origin.z + int((tap - row * p.v) * p.dilation_j));
    if (a >= p.d || i >= p.h || j >= p.w)
        return padding(quad);
    return x[x_at + ((quad * p.d + a) * p.h + i) * p.w + j];
}

void store_at(uint row, uint column, int sum)
{
    const uint volume = p.od * p.oh * p.ow, position = first_position + column;
    y[position / volume * p.y_image + (first_filter + row) * volume + position % volume] = sum;
}

#include "bytes.glsl"

void main()
{
    KILN_GROUP(tile);
    const uint volume = p.od * p.oh * p.ow, positions = p.images * volume;
    const uint across = (positions + TILE - 1) / TILE, down = (p.filters + TILE - 1) / TILE;
    const uint row = tile / across % down * TILE, conv_group = tile / across / down;
    first_position = tile % across * TILE;
    first_filter = conv_group * p.filters + row;

    const uint position = first_position + LANE % TILE, place = position % volume, line = place / p.ow;
    const uint taps = p.t * p.u * p.v;
    x_at = position / volume * p.x_image + conv_group * p.quads * p.d * p.h * p.w;
    origin = ivec3(line / p.oh * p.stride_a, line % p.oh * p.stride_i, place % p.ow * p.stride_j) -
             ivec3(p.pad_a, p.pad_i, p.pad_j);
    inverse_taps = 1.0 / float(taps);
    inverse_u = 1.0 / float(p.u);
    inverse_v = 1.0 / float(p.v);
    kiln_tile(p.filters - row, positions - first_position, p.quads * taps, p.depth * taps);
}
