#version 450
/*
 * lrn - y = x * base^-power, where base sums the squares of the channels nearby; with GRAD dx of dy
 *
 * bindings   0: x    1: y    2: base;    GRAD: 0: x    1: dy    2: y    3: base    4: dx
 * dispatch   an element a lane
 */
#include "kiln.glsl"
#include "math.glsl"
#include "lrn.h"

KILN_IN(0, T, x);
#ifdef GRAD
KILN_IN(1, T, dy);
KILN_IN(2, T, y);
KILN_IN(3, float, base);
KILN_OUT(4, T, dx);
#else
KILN_OUT(1, T, y);
KILN_OUT(2, float, base);
#endif

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.outer * p.channels * p.inner)
        return;
    const uint row = KILN_DIVIDE(e, inner), c = row - KILN_DIVIDE(row, channels) * p.channels;
#ifdef GRAD
    const uint before = min(p.after, c), after = min(p.before, p.channels - 1u - c);
#else
    const uint before = min(p.before, c), after = min(p.after, p.channels - 1u - c);
#endif
    const uint first = e - before * p.inner, count = before + after + 1u;
    float sum = 0.0;
    for (uint d = 0u; d < count; d++) {
        const uint at = first + d * p.inner;
#ifdef GRAD
        sum += float(dy[at]) * float(y[at]) / base[at];
#else
        sum += float(x[at]) * float(x[at]);
#endif
    }
#ifdef GRAD
    dx[e] = T(float(dy[e]) * kiln_pow(base[e], -p.power) - 2.0 * p.power * p.share * float(x[e]) * sum);
#else
    const float b = p.bias + p.share * sum;
    base[e] = b;
    y[e] = T(float(x[e]) * kiln_pow(b, -p.power));
#endif
}
