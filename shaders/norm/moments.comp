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

KILN_IN(0, T, x);
KILN_OUT_ANY(1, mean);
KILN_OUT_ANY(2, m2);

/* A result's coordinates and the values that it is made of. */
struct span {
    uint start;         /* of x[o, 0, k, 0, i] */
    uint from, to;      /* of t */
};

span span_of(uint result)
{
    const uint i = result % p.inner;
    const uint k = result / p.inner % p.kept;
    const uint o = result / (p.inner * p.kept) % p.outer;
    const uint s = result / (p.inner * p.kept * p.outer);
    const uint from = s * p.part_length;
    return span((o * p.first * p.kept + k) * p.second * p.inner + i, from,
                min(from + p.part_length, p.first * p.second));
}

float value_at(span n, uint t)
{
    const uint a = t / p.second;
    return float(x[n.start + (a * p.kept * p.second + t - a * p.second) * p.inner]);
}

void main()
{
    KILN_RESULT(result, p.parts * p.outer * p.kept * p.inner);
    const span n = span_of(result);
    const float count = float(n.to - n.from);

    float sum = 0.0;
    for (uint t = n.from + FIRST; t < n.to; t += STEP)
        sum += value_at(n, t);
    const float middle = SUM(sum) / count;

    float squares = 0.0, rest = 0.0;
    for (uint t = n.from + FIRST; t < n.to; t += STEP) {
        const float d = value_at(n, t) - middle;
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
