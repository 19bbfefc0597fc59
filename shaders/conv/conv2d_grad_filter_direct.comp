#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv2d_grad_filter, direct - dw[s, g, o, c, u, v] = sum over n of split s, i, j of dy[n, g, o, i, j] * x[n, g, c, i', j'], see
 * conv2d.h; 8 filters at 8 of their places (c, u, v) an invocation.
 *
 * bindings   0: dy in    1: x in    2: dw out
 * dispatch   an invocation a tile
 * variants   -DTEXELS: dy and x through texel buffers
 */
#include "kiln.glsl"
#include "conv2d.h"
#include "store.glsl"
#include "direct.glsl"

KILN_OUT_ANY(2, dw);

uint row, column, conv_group, split;    /* of the tile's first result */

void store(uint i, uint j, float sum)
{
    const uint taps = p.channels * p.u * p.v;
    if (row + i < p.filters && column + j < taps)
        KILN_SAVE(2, dw, split * p.part + (conv_group * p.filters + row + i) * taps + column + j, floatBitsToUint(sum));
}

void main()
{
    KILN_GROUP(group);
    const uint taps = p.channels * p.u * p.v;
    const uint across = (taps + SIDE - 1) / SIDE, down = (p.filters + SIDE - 1) / SIDE;
    const uint tile = group * LANES + LANE;
    column = tile % across * SIDE;
    row = tile / across % down * SIDE;
    conv_group = tile / across / down % p.groups;
    split = tile / across / down / p.groups;
    const uint begin = split * p.per_split, end = min(begin + p.per_split, p.images);
    if (split > 0 && begin >= p.images)
        return;

    uint y_at[SIDE], x_at[SIDE];        /* beyond the edge the last filter and place again */
    int top[SIDE], left[SIDE];
    [[unroll]] for (uint i = 0; i < SIDE; i++) {
        const uint tap = min(column + i, taps - 1);
        y_at[i] = (conv_group * p.filters + min(row + i, p.filters - 1)) * p.oh * p.ow;
        x_at[i] = (conv_group * p.channels + tap / (p.u * p.v)) * p.h * p.w;
        top[i] = int(tap / p.v % p.u * p.dilation_i) - int(p.pad_i);
        left[i] = int(tap % p.v * p.dilation_j) - int(p.pad_j);
    }

    kiln_clear();
    for (uint n = begin; n < end; n++)
        for (uint i = 0; i < p.oh; i++)
            for (uint j = 0; j < p.ow; j++) {
                float y_k[SIDE], x_k[SIDE];
                [[unroll]] for (uint k = 0; k < SIDE; k++) {
                    const uint r = uint(top[k] + int(i * p.stride_i)), s = uint(left[k] + int(j * p.stride_j));
                    const bool inside = r < p.h && s < p.w;
                    const float x = KILN_B(inside ? n * p.x_image + x_at[k] + r * p.w + s : 0u);
                    x_k[k] = inside ? x : 0.0;
                    y_k[k] = KILN_A(n * p.y_image + y_at[k] + i * p.ow + j);
                }
                kiln_accumulate(y_k, x_k);
            }
    KILN_STORE_ALL(SIDE, SIDE, KILN_SUM(i, j));
}
