#version 450
/*
 * conv, depthwise - convolution and its transpose (conv.h) where a group has one channel: an invocation a result, with
 * neighbours in neighbouring invocations, since there is no matrix whose rows could be shared.
 *
 * bindings   0: read    1: w    2: written    3, 4: operands of the epilogue
 * dispatch   an invocation a result; TRANSPOSED it sums over the filters of its channel
 */
#include "kiln.glsl"
#include "conv.h"
#include "conv.glsl"
#include "epilogue.glsl"

KILN_IN(0, T, x);
KILN_IN(1, T, w);
KILN_OUT_ANY(2, y);

/* The phase of element `at` of a transposed result, and which of that phase it is. */
uint phase_of(uint at, int pad, uint stride) { return uint(int(at) + pad + (pad < 0 ? int(stride) * -pad : 0)) % stride; }

uvec3 set_phase(uvec3 at)
{
    if (!TRANSPOSED) {
        kiln_set_axes(0u);
        return at;
    }
    const uint a = VOLUME ? phase_of(at.x, p.pad_a, p.stride_a) : 0u;
    const uint i = phase_of(at.y, p.pad_i, p.stride_i), j = phase_of(at.z, p.pad_j, p.stride_j);
    kiln_set_axes((a * p.stride_i + i) * p.stride_j + j);
    return at / uvec3(p.stride_a, p.stride_i, p.stride_j);
}

float sum_of(uint in_at, uint w_at, ivec3 origin)
{
    const uvec3 size = kiln_in_size();
    float sum = 0.0;
    for (uint a = 0; a < (VOLUME ? axis_a.taps : 1u); a++)
        for (uint i = 0; i < axis_i.taps; i++)
            for (uint j = 0; j < axis_j.taps; j++) {
                const uvec3 k = uvec3(a, i, j);
                const ivec3 at = origin + kiln_further(k);
                if (kiln_inside(at, size))
                    sum += float(x[in_at + kiln_ravel(uvec3(at), size)]) * float(w[w_at + kiln_tap(k)]);
            }
    return sum;
}

void main()
{
    KILN_GROUP(group);
    const uvec3 size = kiln_out_size();
    const uint e = group * LANES + LANE, plane = kiln_volume(size), channels = p.groups * kiln_rows();
    const uint row = e / plane, image = row / channels, channel = row - image * channels;
    if (image >= p.images)
        return;

    const uint conv_group = channel / kiln_rows(), in_plane = kiln_volume(kiln_in_size());
    const uint first = conv_group * kiln_sources();
    const uint in_at = kiln_in_first() + image * kiln_in_image() + first * in_plane;
    const ivec3 origin = kiln_origin(set_phase(kiln_unravel(e - row * plane, size)));
    float sum = 0.0;
    for (uint s = 0; s < kiln_sources(); s++)
        sum += sum_of(in_at + s * in_plane, p.w_first + (TRANSPOSED ? first + s : channel) * p.w_filter, origin);

    const uint at = kiln_out_first() + image * kiln_out_image() + channel * plane + e - row * plane;
    KILN_SAVE(2, y, at, kiln_epilogue(sum, at, 0u, p.column_first + channel));
}
