#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * conv_winograd_filters - transform filters (conv_winograd_filters.h) for tiles of -DTILE results a side; an invocation a channel of a
 * filter.
 *
 * bindings   0: w    1: u
 * dispatch   an invocation a channel of a filter, filters of a block side by side
 */
#include "kiln.glsl"
#include "conv_winograd_filters.h"
#include "winograd.glsl"

KILN_IN(0, float, w);
KILN_OUT(1, float, u);

/* What rounding loses of a filter is lost in every product, so sums keep what they round off: a value and its rest. */
vec2 add(vec2 a, vec2 b)
{
    precise const float sum = a.x + b.x, other = sum - a.x;
    precise const float lost = (a.x - (sum - other)) + (b.x - other);
    return vec2(sum, lost + (a.y + b.y));
}

/* G applied to three numbers, but for the divisors of its rows. */
void transform(vec2 w[3], out vec2 t[IN])
{
    const vec2 ends = add(w[0], w[2]);
    t[0] = w[0];
    t[1] = add(ends, w[1]);
    t[2] = add(ends, -w[1]);
#if TILE == 4
    const vec2 far = add(w[0], 4.0 * w[2]);
    t[3] = add(far, 2.0 * w[1]);
    t[4] = add(far, -2.0 * w[1]);
#endif
    t[IN - 1] = w[2];
}

#if TILE == 4
const float divisors[IN] = float[](4.0, -6.0, -6.0, 24.0, 24.0, 1.0);
#else
const float divisors[IN] = float[](1.0, 2.0, 2.0, 1.0);
#endif

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE, row = e % KILN_WINOGRAD_BLOCK, rest = e / KILN_WINOGRAD_BLOCK;
    const uint blocks = (p.filters + KILN_WINOGRAD_BLOCK - 1u) / KILN_WINOGRAD_BLOCK;
    const uint channel = rest % p.channels, block = rest / p.channels, filter_index = block * KILN_WINOGRAD_BLOCK + row;
    if (block >= blocks)
        return;

    const bool there = filter_index < p.filters;
    const uint first = (there ? filter_index : 0u) * p.filter_step + channel * p.channel_step;
    vec2 columns[IN][3];                /* G w */
    [[dont_unroll]] for (uint j = 0; j < 3; j++) { /* glslc's copies of a loop's body are no longer precise */
        vec2 taps[3], t[IN];
        [[unroll]] for (uint i = 0; i < 3; i++) {
            const uint at = i * 3u + j;
            taps[i] = vec2(there ? w[first + (p.turned != 0u ? 8u - at : at)] : 0.0, 0.0);
        }
        transform(taps, t);
        [[unroll]] for (uint i = 0; i < IN; i++)
            columns[i][j] = t[i];
    }
    [[dont_unroll]] for (uint i = 0; i < IN; i++) {
        vec2 t[IN];
        transform(columns[i], t);
        [[unroll]] for (uint j = 0; j < IN; j++)
            u[(((i * IN + j) * blocks + block) * p.channels + channel) * KILN_WINOGRAD_BLOCK + row] =
                (t[j].x + t[j].y) / (divisors[i] * divisors[j]);
    }
}
