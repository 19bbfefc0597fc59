#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv2d, direct - y[n, g, o, i, j] = epilogue(sum over c u v of x[n, g, c, i', j'] * w[g, o, c, u, v]), see conv2d.h; 8 filters
 * at 8 positions an invocation. What depends on the place in the filter is worked out once for all channels.
 *
 * bindings   0: x in    1: w in    2: y out    3, 4: operands of the epilogue
 * dispatch   an invocation a tile; positions count through all images
 * variants   -DTEXELS: x and w through texel buffers
 */
#include "kiln.glsl"
#include "conv2d.h"
#include "epilogue.glsl"
#include "store.glsl"
#include "direct.glsl"

KILN_OUT_ANY(2, y);

uint row, column, conv_group;           /* of the tile's first result */

void store(uint i, uint j, float sum)
{
    const uint plane = p.oh * p.ow, image = (column + j) / plane, filter_index = conv_group * p.filters + row + i;
    if (row + i >= p.filters || image >= p.images)
        return;
    const uint at = image * p.y_image + filter_index * plane + (column + j) % plane;
    KILN_SAVE(2, y, at, kiln_epilogue(sum, at, 0u, filter_index));
}

void main()
{
    KILN_GROUP(group);
    const uint plane = p.oh * p.ow, positions = p.images * plane;
    const uint across = (positions + SIDE - 1) / SIDE, down = (p.filters + SIDE - 1) / SIDE;
    const uint tile = group * LANES + LANE;
    column = tile % across * SIDE;
    row = tile / across % down * SIDE;
    conv_group = tile / across / down;
    if (conv_group >= p.groups)
        return;

    uint w_at[SIDE], x_at[SIDE];        /* filter; channel 0 of the group; beyond the edge the last ones again */
    int top[SIDE], left[SIDE];
    [[unroll]] for (uint i = 0; i < SIDE; i++) {
        const uint position = min(column + i, positions - 1), place = position % plane;
        w_at[i] = (conv_group * p.filters + min(row + i, p.filters - 1)) * p.channels * p.u * p.v;
        x_at[i] = position / plane * p.x_image + conv_group * p.channels * p.h * p.w;
        top[i] = int(place / p.ow * p.stride_i) - int(p.pad_i);
        left[i] = int(place % p.ow * p.stride_j) - int(p.pad_j);
    }

    kiln_clear();
    for (uint u = 0; u < p.u; u++)
        for (uint v = 0; v < p.v; v++) {
            bool inside[SIDE];
            uint pixel[SIDE];
            [[unroll]] for (uint i = 0; i < SIDE; i++) {
                const uint r = uint(top[i] + int(u * p.dilation_i)), s = uint(left[i] + int(v * p.dilation_j));
                inside[i] = r < p.h && s < p.w;
                pixel[i] = inside[i] ? x_at[i] + r * p.w + s : 0u;
            }
            for (uint c = 0; c < p.channels; c++) {
                float w_k[SIDE], x_k[SIDE];
                [[unroll]] for (uint i = 0; i < SIDE; i++) {
                    const float x = KILN_A(pixel[i] + (inside[i] ? c * p.h * p.w : 0u));
                    x_k[i] = inside[i] ? x : 0.0;
                    w_k[i] = KILN_B(w_at[i] + (c * p.u + u) * p.v + v);
                }
                kiln_accumulate(w_k, x_k);
            }
        }
    KILN_STORE_ALL(SIDE, SIDE, KILN_SUM(i, j));
}
