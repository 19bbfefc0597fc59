#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv, depthwise_lines - convolution (conv.h) of groups of one channel over a plane, by TAPS x TAPS filters: an invocation 4 x 4
 * results, which share what is read of each line of x. For drivers that run on the CPU.
 *
 * bindings   0: x    1: w    2: y    3, 4: operands of the epilogue
 * dispatch   an invocation four rows of four results; not TRANSPOSED, not VOLUME, no dilation
 * tuning     0: SHIFT (lines.glsl)    1: STORE_ONES, results are stored one by one
 * variants   -DTAPS=, -DSTRIDE=
 */
#include "kiln.glsl"
#include "conv.h"
#include "epilogue.glsl"
#include "light.glsl"

KILN_TEXELS(0, x);
KILN_TEXELS(1, w);
KILN_OUT_ANY(2, y);
KILN_OUT_FOURS(2, y);

#include "lines.glsl"

KILN_TUNING(1, STORE_ONES, 1);

uint channel, top, left;                /* of the first result */
float filter_at[TAPS * TAPS];
vec4 sum[4];

/* Line r of those that the results meet, of whose elements `inside` says which are there. */
void add_line(int r, bool is_there, bool inside[LINE])
{
    [[unroll]] for (int j = 0; j < LINE; j++)
        line[j] = is_there && inside[j] ? line[j] : 0.0;
    [[unroll]] for (int o = 0; o < 4; o++) {
        const int u = r - o * STRIDE;
        if (u >= 0 && u < TAPS)
            [[unroll]] for (int v = 0; v < TAPS; v++)
                sum[o] = fma(vec4(filter_at[u * TAPS + v]), kiln_line_at(v), sum[o]);
    }
}

void convolve(int first, int last)
{
    const int i = int(top * STRIDE) - p.pad_i, j = int(left * STRIDE) - p.pad_j;
    bool inside[LINE];
    [[unroll]] for (int k = 0; k < LINE; k++)
        inside[k] = uint(j + k) < p.w;
    [[unroll]] for (int r = 0; r < LINE; r++) {
        kiln_read_line(first + (i + r) * int(p.w) + j, last);
        add_line(r, uint(i + r) < p.h, inside);
    }
}

void store(uint at, vec4 sums, uvec2 of_channel)
{
    const uint place = p.column_first + channel, count = min(p.ow - left, 4u);
    KILN_SAVE_LINE(2, y, at, sums, of_channel, place, count, STORE_ONES != 0u);
}

void main()
{
    KILN_GROUP(group);
    const uint across = (p.ow + 3u) / 4u, down = (p.oh + 3u) / 4u, channels = p.groups * p.filters;
    const uint tile = group * LANES + LANE, row = tile / across, plane = row / down, image = plane / channels;
    if (image >= p.images)
        return;
    left = (tile - row * across) * 4u;
    top = (row - plane * down) * 4u;
    channel = plane - image * channels;

    [[unroll]] for (uint k = 0; k < TAPS * TAPS; k++)
        filter_at[k] = texelFetch(w, int(p.w_first + channel * p.w_filter + k)).r;
    [[unroll]] for (uint o = 0; o < 4; o++)
        sum[o] = vec4(0);
    const uint size = p.h * p.w, elements = p.x_first + (p.images - 1u) * p.x_image + p.groups * size;
    convolve(int(p.x_first + image * p.x_image + channel / p.filters * size), int((elements - 1u) / 4u));

    const uint at = p.y_first + image * p.y_image + (channel * p.oh + top) * p.ow + left;
    const uvec2 of_channel = kiln_epilogue_common(KILN_WALK_COLUMN, p.column_first + channel);
    [[unroll]] for (uint o = 0; o < 4; o++)
        if (top + o < p.oh)
            store(at + o * p.ow, sum[o], of_channel);
}
