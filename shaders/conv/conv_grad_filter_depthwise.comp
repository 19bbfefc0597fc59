#version 450
/*
 * conv_grad_filter, depthwise - the gradient of convolution by its filters (conv.h) where a group has one channel: a workgroup
 * sums SOME places of one filter over the positions of a split's images.
 *
 * bindings   0: y in    1: x in    2: w out
 * dispatch   a workgroup SOME places of a filter of a split
 */
#include "kiln.glsl"
#include "conv.h"
#include "conv.glsl"
#include "group.glsl"

KILN_IN(0, T, y);
KILN_IN(1, T, x);
KILN_OUT_ANY(2, w);

#define SOME 9u     /* as in conv_kernel.c */

float sum[SOME];
ivec3 origin[SOME];

/* Add the products of one position. */
void add_position(uvec3 q, float pull, uint x_at)
{
    const uvec3 size = kiln_in_size();
    const ivec3 further = ivec3(q * uvec3(p.stride_a, p.stride_i, p.stride_j));
    for (uint k = 0; k < SOME; k++) {
        const ivec3 at = origin[k] + further;
        if (kiln_inside(at, size))
            sum[k] += pull * float(x[x_at + kiln_ravel(uvec3(at), size)]);
    }
}

void main()
{
    KILN_GROUP(group);
    const uint taps = p.t * p.u * p.v, across = (taps + SOME - 1) / SOME, filters = p.groups * p.filters;
    const uint first = group % across * SOME, filter_index = group / across % filters, split = group / across / filters;
    const uint begin = split * p.per_split, images = min(begin + p.per_split, p.images) - begin;
    const uint plane = kiln_volume(kiln_out_size()), in_plane = kiln_volume(kiln_in_size());

    kiln_set_axes(0u);
    for (uint k = 0; k < SOME; k++) {       /* beyond the edge the last place again */
        sum[k] = 0.0;
        origin[k] = kiln_origin(uvec3(0u)) +
                    kiln_further(kiln_unravel(min(first + k, taps - 1), uvec3(p.t, p.u, p.v)));
    }
    for (uint e = LANE; e < images * plane; e += LANES) {
        const uint n = begin + e / plane, place = e % plane;
        add_position(kiln_unravel(place, kiln_out_size()),
                     float(y[p.y_first + n * p.y_image + filter_index * plane + place]),
                     p.x_first + n * p.x_image + filter_index / p.filters * in_plane);
    }
    for (uint k = 0; k < SOME; k++) {
        const float total = kiln_group_sum(sum[k]);
        if (LANE == 0u && first + k < taps)
            KILN_SAVE(2, w, p.w_first + split * p.part + filter_index * p.w_filter + first + k, floatBitsToUint(total));
    }
}
