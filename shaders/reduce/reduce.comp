#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * reduce - y[s, o, k, i] = finish(scale * combine over t in part s of x[o, t / second, k, t % second, i])
 *
 * bindings   0: x    1: y
 * dispatch   a workgroup a result, whose lanes take every LANES-th value and combine by a tree, or several results of few
 *            values; with COLUMNS, for results that lie side by side, a lane a result; with FOURS, for reals
 *            that lie side by side, the same through a texel buffer of fours
 * numerics   sums in float; the order follows sizes alone
 */
#include "kiln.glsl"
#include "reduce.glsl"
#include "reduce.h"
#include "span.glsl"

KILN_CONSTANT(0, CODE);
KILN_CONSTANT(1, FINISH);

#ifdef FOURS
KILN_TEXELS(0, x);
#else
KILN_IN_ANY(0, x);
#endif
KILN_OUT_ANY(1, y);

void store(uint result, uvec2 value)
{
    const uint bits = kiln_reduce_finish(CODE, FINISH, value, p.scale);
    KILN_SAVE(1, y, p.y_first + result, bits);
}

#ifdef FOURS

void main()
{
    KILN_GROUP(group);
    const uint result = group * LANES + LANE;
    if (result >= p.parts * p.outer * p.kept)
        return;
    const kiln_span n = kiln_span_of(result);
    const uint first = p.x_first + n.start, from = first + n.from, to = first + n.to;
    uvec2 part[4];
    [[unroll]] for (uint j = 0; j < 4; j++)
        part[j] = kiln_reduce_start(CODE);
    for (uint four = from / 4u; 4u * four < to; four++) {
        const uvec4 bits = floatBitsToUint(texelFetch(x, int(four)));
        [[unroll]] for (uint j = 0; j < 4; j++) {
            const uint at = 4u * four + j;
            if (at >= from && at < to)
                part[j] = kiln_reduce_combine(CODE, part[j], kiln_reduce_take(CODE, FINISH, bits[j], at - first));
        }
    }
    store(result, kiln_reduce_combine(CODE, kiln_reduce_combine(CODE, part[0], part[1]),
                                      kiln_reduce_combine(CODE, part[2], part[3])));
}

#else

uint next(inout kiln_walk w, kiln_pace pace)
{
    const uint bits = KILN_LOAD(0, x, p.x_first + w.at);
    kiln_step(w, pace);
    return bits;
}

/* Of values t, t + step and so on up to the span's end, in four interleaved parts: four loads are on their way together. */
uvec2 combine_all(kiln_span n, uint t, uint step)
{
    const kiln_pace pace = kiln_span_pace(step);
    kiln_walk w = kiln_span_walk(n, t);
    uvec2 part[4];
    [[unroll]] for (uint j = 0; j < 4; j++)
        part[j] = kiln_reduce_start(CODE);
    for (; t + 3u * step < n.to; t += 4u * step) {
        uint bits[4];
        [[unroll]] for (uint j = 0; j < 4; j++)
            bits[j] = next(w, pace);
        [[unroll]] for (uint j = 0; j < 4; j++)
            part[j] = kiln_reduce_combine(CODE, part[j], kiln_reduce_take(CODE, FINISH, bits[j], t + j * step));
    }
    for (; t < n.to; t += step)
        part[0] = kiln_reduce_combine(CODE, part[0], kiln_reduce_take(CODE, FINISH, next(w, pace), t));
    return kiln_reduce_combine(CODE, kiln_reduce_combine(CODE, part[0], part[1]),
                               kiln_reduce_combine(CODE, part[2], part[3]));
}

#ifdef COLUMNS

void main()
{
    KILN_GROUP(group);
    const uint result = group * LANES + LANE;
    if (result >= p.parts * p.outer * p.kept * p.inner)
        return;
    const kiln_span n = kiln_span_of(result);
    store(result, combine_all(n, n.from, 1u));
}

#else

shared uvec2 slot[LANES];

/* Lanes a result: no more than it has values, so that short rows share a workgroup. As results_a_group in reduce_kernel.c. */
uint width()
{
    return p.part_length >= LANES ? LANES : p.part_length > 1u ? 2u << findMSB(p.part_length - 1u) : 1u;
}

void main()
{
    KILN_GROUP(group);
    const uint lanes = width(), lane = LANE % lanes;
    const uint result = group * (LANES / lanes) + LANE / lanes;
    const bool wanted = result < p.parts * p.outer * p.kept * p.inner;
    uvec2 value = kiln_reduce_start(CODE);
    if (wanted) {
        const kiln_span n = kiln_span_of(result);
        value = combine_all(n, n.from + lane, lanes);
    }
    slot[LANE] = value;
    barrier();
    for (uint step = lanes / 2u; step > 0u; step /= 2u) {
        if (lane < step)
            slot[LANE] = kiln_reduce_combine(CODE, slot[LANE], slot[LANE + step]);
        barrier();
    }
    if (wanted && lane == 0u)
        store(result, slot[LANE]);
}

#endif
#endif
