#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv2d_grad_input, direct - dx[n, g, c, i', j'] = sum over o u v of dy[n, g, o, i, j] * w[g, o, c, u, v], see conv2d.h;
 * 8 channels at 8 pixels an invocation.
 *
 * bindings   0: dy in    1: w in    2: dx out
 * dispatch   an invocation a tile; pixels count through all images
 * variants   -DTEXELS: dy and w through texel buffers
 */
#include "kiln.glsl"
#include "conv2d.h"
#include "store.glsl"
#include "direct.glsl"

KILN_OUT(2, T, dx);

uint row, column, conv_group;           /* of the tile's first result */

void store(uint i, uint j, float sum)
{
    const uint plane = p.h * p.w, image = (column + j) / plane;
    if (row + i < p.channels && image < p.images)
        dx[image * p.x_image + (conv_group * p.channels + row + i) * plane + (column + j) % plane] = T(sum);
}

/* The position at which place `tap` of the filter meets the padded pixel; `end` or more where there is none. */
uint meeting(uint pixel, uint tap, uint stride, uint end)
{
    const uint reach = pixel - tap;     /* wraps where negative */
    if (stride == 1)
        return reach;
    return pixel >= tap && reach % stride == 0 ? reach / stride : end;
}

void main()
{
    KILN_GROUP(group);
    const uint plane = p.h * p.w, pixels = p.images * plane;
    const uint across = (pixels + SIDE - 1) / SIDE, down = (p.channels + SIDE - 1) / SIDE;
    const uint tile = group * LANES + LANE;
    column = tile % across * SIDE;
    row = tile / across % down * SIDE;
    conv_group = tile / across / down;
    if (conv_group >= p.groups)
        return;

    const uint taps = p.u * p.v;
    uint w_at[SIDE], y_at[SIDE], r[SIDE], s[SIDE];
    [[unroll]] for (uint i = 0; i < SIDE; i++) {
        const uint pixel = min(column + i, pixels - 1), place = pixel % plane;
        w_at[i] = (conv_group * p.filters * p.channels + min(row + i, p.channels - 1)) * taps;
        y_at[i] = pixel / plane * p.y_image + conv_group * p.filters * p.oh * p.ow;
        r[i] = place / p.w + p.pad_i;
        s[i] = place % p.w + p.pad_j;
    }

    kiln_clear();
    for (uint u = 0; u < p.u; u++)
        for (uint v = 0; v < p.v; v++) {
            bool inside[SIDE];
            uint at[SIDE];
            [[unroll]] for (uint k = 0; k < SIDE; k++) {
                const uint i = meeting(r[k], u * p.dilation_i, p.stride_i, p.oh);
                const uint j = meeting(s[k], v * p.dilation_j, p.stride_j, p.ow);
                inside[k] = i < p.oh && j < p.ow;
                at[k] = inside[k] ? y_at[k] + i * p.ow + j : 0u;
            }
            for (uint o = 0; o < p.filters; o++) {
                float w_k[SIDE], y_k[SIDE];
                [[unroll]] for (uint i = 0; i < SIDE; i++) {
                    const float y = KILN_A(at[i] + (inside[i] ? o * p.oh * p.ow : 0u));
                    y_k[i] = inside[i] ? y : 0.0;
                    w_k[i] = KILN_B(w_at[i] + o * p.channels * taps + u * p.v + v);
                }
                kiln_accumulate(w_k, y_k);
            }
        }
    KILN_STORE_ALL(SIDE, SIDE, KILN_SUM(i, j));
}
