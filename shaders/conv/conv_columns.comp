#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv_columns - lay out what filters meet (conv_columns.h); an invocation four columns of all terms of a channel.
 *
 * bindings   0: x    1: z
 * dispatch   an invocation four columns of a channel of an image, columns side by side
 * variants   -DTEXELS: x through a texel buffer
 */
#include "kiln.glsl"
#include "conv_columns.h"

#ifdef TEXELS
KILN_TEXELS(0, x);
#define X(i) texelFetch(x, int(i)).r
#else
KILN_IN(0, float, x);
#define X(i) x[i]
#endif
KILN_OUT(1, vec4, z);

uint first;                             /* of the channel in x */
ivec4 top, left;                        /* where each column meets the filter's first place */
bvec4 there;                            /* columns that exist */

vec4 meet(uint u, uint v)
{
    vec4 four;
    [[unroll]] for (uint k = 0; k < 4; k++) {
        const int i = top[k] + int(u * p.dilation_i), j = left[k] + int(v * p.dilation_j);
        const bool inside = there[k] && uint(i) < p.h && uint(j) < p.w;
        const float value = X(inside ? first + uint(i) * p.w + uint(j) : first);
        four[k] = inside ? value : 0.0;
    }
    return four;
}

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE, row = KILN_DIVIDE(e, fours), four = e - row * p.fours;
    const uint image = KILN_DIVIDE(row, channels), channel = row - image * p.channels;
    if (image >= p.images)
        return;
    first = (image * p.channels + channel) * p.h * p.w;
    [[unroll]] for (uint k = 0; k < 4; k++) {
        const uint position = four * 4u + k, i = KILN_DIVIDE(position, ow);
        top[k] = int(i * p.stride_i) - p.pad_i;
        left[k] = int((position - i * p.ow) * p.stride_j) - p.pad_j;
        there[k] = i < p.oh;
    }

    uint at = (image * p.terms + channel * p.u * p.v) * p.fours + four;
    for (uint u = 0; u < p.u; u++)
        for (uint v = 0; v < p.v; v++, at += p.fours)
            z[at] = meet(u, v);
    if (channel + 1u < p.channels)
        return;
    for (uint term = p.channels * p.u * p.v; term < p.terms; term++, at += p.fours)
        z[at] = vec4(0);
}
