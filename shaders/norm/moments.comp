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

float value_at(kiln_span n, uint t)
{
    return float(x[kiln_span_at(n, t)]);
}

void main()
{
    KILN_RESULT(result, p.parts * p.outer * p.kept * p.inner);
    const kiln_span n = kiln_span_of(result);
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
