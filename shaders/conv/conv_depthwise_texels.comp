#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv, depthwise_texels - convolution (conv.h) of groups of one channel through texel buffers, four results of a row an invocation:
 * they share what is read of the filter. For drivers that run on the CPU.
 *
 * bindings   0: x    1: w    2: y    3, 4: operands of the epilogue
 * dispatch   an invocation four results of a row; not TRANSPOSED
 */
#include "kiln.glsl"
#include "conv.h"
#include "conv.glsl"
#include "epilogue.glsl"

KILN_TEXELS(0, x);
KILN_TEXELS(1, w);
KILN_OUT_ANY(2, y);

/* What the results at `origin` and on meet at a place of the filter, zeros outside. */
vec4 meet(uint in_at, ivec3 origin, uvec3 k)
{
    const uvec3 size = kiln_in_size();
    vec4 four;
    [[unroll]] for (int j = 0; j < 4; j++) {
        const ivec3 at = origin + kiln_further(k) + ivec3(0, 0, j * axis_j.in_stride);
        const bool inside = kiln_inside(at, size);
        const float value = texelFetch(x, int(inside ? in_at + kiln_ravel(uvec3(at), size) : in_at)).r;
        four[j] = inside ? value : 0.0;
    }
    return four;
}

void main()
{
    KILN_GROUP(group);
    const uvec3 size = kiln_out_size();
    const uint e = group * LANES + LANE, fours = (size.z + 3u) / 4u, channels = p.groups * p.filters;
    const uint line = e / fours, lines = VOLUME ? size.x * size.y : size.y;
    const uint row = line / lines, image = row / channels, channel = row - image * channels;
    if (image >= p.images)
        return;

    const uint first = line % lines, left = (e - line * fours) * 4u;
    const uvec3 q = uvec3(VOLUME ? first / size.y : 0u, VOLUME ? first % size.y : first, left);
    const uint in_at = kiln_in_first() + image * kiln_in_image() + channel / p.filters * kiln_volume(kiln_in_size());
    const uint w_at = p.w_first + channel * p.w_filter;
    kiln_set_axes(0u);
    const ivec3 origin = kiln_origin(q);
    vec4 sum = vec4(0);
    for (uint a = 0; a < (VOLUME ? axis_a.taps : 1u); a++)
        for (uint i = 0; i < axis_i.taps; i++)
            for (uint j = 0; j < axis_j.taps; j++) {
                const uvec3 k = uvec3(a, i, j);
                sum = fma(vec4(texelFetch(w, int(w_at + kiln_tap(k))).r), meet(in_at, origin, k), sum);
            }

    const uint at = kiln_out_first() + image * kiln_out_image() + channel * kiln_volume(size) + kiln_ravel(q, size);
    [[dont_unroll]] for (uint j = 0; j < 4; j++)
        if (left + j < size.z)
            KILN_SAVE(2, y, at + j, kiln_epilogue(sum[j], at + j, 0u, p.column_first + channel));
}
