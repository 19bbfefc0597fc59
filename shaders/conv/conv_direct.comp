#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv, direct - convolution and its transpose (conv.h); 8 filters (channels) at 8 results of a phase an invocation. What
 * depends on the place in the filter is worked out once for all sources.
 *
 * bindings   0: read    1: w    2: written    3, 4: operands of the epilogue
 * dispatch   an invocation a tile; results count through all images
 * variants   -DTEXELS: what is read and w through texel buffers
 */
#include "kiln.glsl"
#include "conv.h"
#include "conv.glsl"
#include "epilogue.glsl"
#include "store.glsl"
#include "direct.glsl"

KILN_OUT_ANY(2, y);

uint row, column, conv_group;           /* of the tile's first result */

void store(uint i, uint j, float sum)
{
    const uvec3 counts = kiln_counts(), size = kiln_out_size();
    const uint plane = kiln_volume(counts), image = (column + j) / plane;
    const uvec3 at = kiln_result(kiln_unravel((column + j) % plane, counts));
    if (row + i >= kiln_rows() || image >= p.images || any(greaterThanEqual(at, size)))
        return;
    const uint channel = conv_group * kiln_rows() + row + i;
    const uint place = kiln_out_first() + image * kiln_out_image() + channel * kiln_volume(size) + kiln_ravel(at, size);
    KILN_SAVE(2, y, place, kiln_epilogue(sum, place, 0u, p.column_first + channel));
}

/* Add the products of one place of the filter, of all sources. */
void add_place(uvec3 k, uint w_at[SIDE], uint x_at[SIDE], ivec3 origin[SIDE])
{
    const uvec3 size = kiln_in_size();
    const uint plane = kiln_volume(size), tap = kiln_tap(k);
    const uint w_source = TRANSPOSED ? p.w_filter : p.t * p.u * p.v;
    bool inside[SIDE];
    uint pixel[SIDE];
    [[unroll]] for (uint i = 0; i < SIDE; i++) {
        const ivec3 at = origin[i] + kiln_further(k);
        inside[i] = kiln_inside(at, size);
        pixel[i] = inside[i] ? x_at[i] + kiln_ravel(uvec3(at), size) : kiln_in_first();
    }
    for (uint s = 0; s < kiln_sources(); s++) {
        float w_k[SIDE], x_k[SIDE];
        [[unroll]] for (uint i = 0; i < SIDE; i++) {
            const float x = KILN_A(pixel[i] + (inside[i] ? s * plane : 0u));
            x_k[i] = inside[i] ? x : 0.0;
            w_k[i] = KILN_B(w_at[i] + s * w_source + tap);
        }
        kiln_accumulate(w_k, x_k);
    }
}

void main()
{
    KILN_GROUP(group);
    const uvec3 counts = kiln_counts();
    const uint plane = kiln_volume(counts), positions = p.images * plane, rows = kiln_rows();
    const uint across = (positions + SIDE - 1) / SIDE, down = (rows + SIDE - 1) / SIDE;
    const uint tile = group * LANES + LANE, phase = tile / across / down % kiln_phases();
    column = tile % across * SIDE;
    row = tile / across % down * SIDE;
    conv_group = tile / across / down / kiln_phases();
    if (conv_group >= p.groups)
        return;
    kiln_set_axes(phase);

    uint w_at[SIDE], x_at[SIDE];        /* weights of source 0; source 0 itself; beyond the edge the last ones again */
    ivec3 origin[SIDE];
    const uint w_group = p.w_first + conv_group * p.filters * p.w_filter;
    [[unroll]] for (uint i = 0; i < SIDE; i++) {
        const uint position = min(column + i, positions - 1), image = position / plane;
        w_at[i] = w_group + min(row + i, rows - 1) * (TRANSPOSED ? p.t * p.u * p.v : p.w_filter);
        x_at[i] =
            kiln_in_first() + image * kiln_in_image() + conv_group * kiln_sources() * kiln_volume(kiln_in_size());
        origin[i] = kiln_origin(kiln_unravel(position - image * plane, counts));
    }

    kiln_clear();
    for (uint a = 0; a < (VOLUME ? axis_a.taps : 1u); a++)
        for (uint i = 0; i < axis_i.taps; i++)
            for (uint j = 0; j < axis_j.taps; j++)
                add_place(uvec3(a, i, j), w_at, x_at, origin);
    KILN_STORE_ALL(SIDE, SIDE, KILN_SUM(i, j));
}
