#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * pool, lines - the largest of each window of TAPS x TAPS elements in planes (pool.h): an invocation 4 x 4 results, which share what is
 * read of each line of x. For drivers that run on the CPU.
 *
 * bindings   0: x in    1: y out
 * dispatch   an invocation four rows of four results, whole planes
 * tuning     0: SHIFT (lines.glsl)
 * variants   -DTAPS=, -DSTRIDE=
 */
#include "kiln.glsl"
#include "four.glsl"
#include "pool.h"

KILN_TEXELS(0, x);
KILN_OUT(1, T, y);

#include "lines.glsl"

uint top, left;                         /* of the first result */
vec4 peak[4];

/* Line r of those that the windows meet. */
void take_line(int r, bool is_there, bool inside[LINE])
{
    [[unroll]] for (int j = 0; j < LINE; j++)
        line[j] = is_there && inside[j] ? line[j] : KILN_MINUS_INFINITY;
    vec4 largest = kiln_line_at(0);
    [[unroll]] for (int v = 1; v < TAPS; v++)
        largest = kiln_max_four(largest, kiln_line_at(v));
    [[unroll]] for (int o = 0; o < 4; o++)
        if (r >= o * STRIDE && r < o * STRIDE + TAPS)
            peak[o] = kiln_max_four(peak[o], largest);
}

void main()
{
    KILN_GROUP(group);
    const uint across = (p.ow + 3u) / 4u, down = (p.oh + 3u) / 4u, planes = p.results / (p.oh * p.ow);
    const uint tile = group * LANES + LANE, row = tile / across, plane = row / down;
    if (plane >= planes)
        return;
    left = (tile - row * across) * 4u;
    top = (row - plane * down) * 4u;

    const int i = int(top * STRIDE) - int(p.pad_i), j = int(left * STRIDE) - int(p.pad_j);
    const int first = int(p.x_first + plane * p.h * p.w), last = int((p.x_first + planes * p.h * p.w - 1u) / 4u);
    bool inside[LINE];
    [[unroll]] for (int k = 0; k < LINE; k++)
        inside[k] = uint(j + k) < p.w;
    [[unroll]] for (uint o = 0; o < 4; o++)
        peak[o] = vec4(KILN_MINUS_INFINITY);
    [[unroll]] for (int r = 0; r < LINE; r++) {
        kiln_read_line(first + (i + r) * int(p.w) + j, last);
        take_line(r, uint(i + r) < p.h, inside);
    }

    const uint at = p.y_first + (plane * p.oh + top) * p.ow + left;
    [[unroll]] for (uint o = 0; o < 4; o++)
        [[unroll]] for (uint k = 0; k < 4; k++)
            if (top + o < p.oh && left + k < p.ow)
                y[at + o * p.ow + k] = T(peak[o][k]);
}
