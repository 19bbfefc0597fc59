#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv2d_grad_input, tiled - dx[n, g, c, i', j'] = sum over o u v of dy[n, g, o, i, j] * w[g, o, c, u, v], see conv2d.h, as a
 * product of matrices through shared memory: channels by pixels, summed over (o, u, v).
 *
 * bindings   0: dy in    1: w in    2: dx out
 * dispatch   a workgroup of 128 a tile of 64 channels and 64 pixels, which count through all images
 */
#include "kiln.glsl"
#include "conv2d.h"
#include "quotient.glsl"

KILN_IN(0, T, dy);
KILN_IN(1, T, w);
KILN_OUT(2, T, dx);

uint first_channel, first_pixel, conv_group;    /* of the tile; the channel within the group */
uint y_at;                                      /* filter 0 of the group in this invocation's image */
uint r, s;                                      /* its padded pixel */
float inverse_taps, inverse_v;

#define A_ALONG_TERMS true
#define B_ALONG_TERMS false

/* A term is (o, u, v); what lies behind w[g, o] is (c, u, v). */
float load_a(uint row, uint term)
{
    const uint taps = p.u * p.v, o = kiln_quotient(term, taps, inverse_taps);
    return float(w[((conv_group * p.filters + o) * p.channels + first_channel + row) * taps + term - o * taps]);
}

/* The position at which place `tap` of the filter meets the padded pixel; `end` or more where there is none. */
uint meeting(uint pixel, uint tap, uint stride, uint end)
{
    const uint reach = pixel - tap;     /* wraps where negative */
    if (stride == 1)
        return reach;
    return pixel >= tap && reach % stride == 0 ? reach / stride : end;
}

/* column is the same in every call of an invocation: main() has worked out what follows from it. */
float load_b(uint term, uint column)
{
    const uint o = kiln_quotient(term, p.u * p.v, inverse_taps), tap = term - o * p.u * p.v;
    const uint u = kiln_quotient(tap, p.v, inverse_v), v = tap - u * p.v;
    const uint i = meeting(r, u * p.dilation_i, p.stride_i, p.oh), j = meeting(s, v * p.dilation_j, p.stride_j, p.ow);
    return i < p.oh && j < p.ow ? float(dy[y_at + (o * p.oh + i) * p.ow + j]) : 0.0;
}

void store_at(uint row, uint column, float sum)
{
    const uint plane = p.h * p.w, pixel = first_pixel + column;
    dx[pixel / plane * p.x_image + (conv_group * p.channels + first_channel + row) * plane + pixel % plane] = T(sum);
}

#include "store.glsl"
#include "tiled.glsl"

void main()
{
    KILN_GROUP(tile);
    const uint plane = p.h * p.w, pixels = p.images * plane;
    const uint across = (pixels + TILE - 1) / TILE, down = (p.channels + TILE - 1) / TILE;
    first_pixel = tile % across * TILE;
    first_channel = tile / across % down * TILE;
    conv_group = tile / across / down;

    const uint pixel = first_pixel + LANE % TILE, place = pixel % plane;
    y_at = pixel / plane * p.y_image + conv_group * p.filters * p.oh * p.ow;
    r = place / p.w + p.pad_i;
    s = place % p.w + p.pad_j;
    inverse_taps = 1.0 / float(p.u * p.v);
    inverse_v = 1.0 / float(p.v);
    kiln_tile(p.channels - first_channel, pixels - first_pixel, p.filters * p.u * p.v);
}
