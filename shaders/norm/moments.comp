#version 450
/*
 * moments - mean[s, o, k, i] and m2[s, o, k, i] of the values in part s
 *
 * bindings   0: x    1: mean    2: m2
 * dispatch   a workgroup a result; with COLUMNS, for results that lie side by side, a lane a result
 * numerics   two passes; the second is corrected by the sum of its differences, which exact arithmetic makes 0
 */
#include "kiln.glsl"
#include "lanes.glsl"
#include "moments.h"
#include "span.glsl"

KILN_IN(0, T, x);
KILN_OUT_ANY(1, mean);
KILN_OUT_ANY(2, m2);

float next(inout kiln_walk w, kiln_pace pace)
{
    const float value = float(x[w.at]);
    kiln_step(w, pace);
    return value;
}

vec4 next_four(inout kiln_walk w, kiln_pace pace)
{
    const float a = next(w, pace), b = next(w, pace), c = next(w, pace);
    return vec4(a, b, c, next(w, pace));
}

void main()
{
    KILN_RESULT(result, p.parts * p.outer * p.kept * p.inner);
    const kiln_span n = kiln_span_of(result);
    const float count = float(n.to - n.from);

    const kiln_pace pace = kiln_span_pace(STEP);
    const uint first = n.from + FIRST;
    const kiln_walk begin = kiln_span_walk(n, first);

    float sum = 0.0;
    kiln_walk w = begin;
    uint t = first;
    for (; t + 3u * STEP < n.to; t += 4u * STEP)
        sum += dot(next_four(w, pace), vec4(1.0));
    for (; t < n.to; t += STEP)
        sum += next(w, pace);
    const float middle = SUM(sum) / count;

    float squares = 0.0, rest = 0.0;
    w = begin;
    for (t = first; t + 3u * STEP < n.to; t += 4u * STEP) {
        const vec4 d = next_four(w, pace) - middle;
        squares += dot(d, d);
        rest += dot(d, vec4(1.0));
    }
    for (; t < n.to; t += STEP) {
        const float d = next(w, pace) - middle;
        squares += d * d;
        rest += d;
    }
    squares = SUM(squares);
    rest = SUM(rest);
    if (FIRST == 0u) {
        KILN_SAVE(1, mean, result, floatBitsToUint(middle + rest / count));
        KILN_SAVE(2, m2, result, floatBitsToUint(max(squares - rest * rest / count, 0.0) * p.scale));
    }
}
