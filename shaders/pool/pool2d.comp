#version 450
/*
 * pool2d - the largest or the mean value of each window.
 *
 * bindings   0: x in    1: y out
 * dispatch   LANES elements of y a workgroup
 * numerics   the largest is exact; a mean sums in float, row by row
 */
#include "kiln.glsl"
#include "pool2d.h"
#include "pool.glsl"

KILN_IN(0, T, x);
KILN_OUT(1, T, y);

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.planes * p.out_height * p.out_width)
        return;

    const uint row = KILN_DIVIDE(e, out_width), plane = KILN_DIVIDE(row, out_height);
    const int top = int((row - plane * p.out_height) * p.stride_h) - int(p.pad_h);
    const int left = int((e - row * p.out_width) * p.stride_w) - int(p.pad_w);

    float peak = KILN_MINUS_INFINITY, total = 0.0;
    for (uint u = 0; u < p.size_h; u++)
        for (uint v = 0; v < p.size_w; v++) {
            const int i = top + int(u * p.dilation_h), j = left + int(v * p.dilation_w);
            if (!inside(i, j))
                continue;
            const float value = float(x[(plane * p.height + uint(i)) * p.width + uint(j)]);
            peak = kiln_max(peak, value);
            total += value;
        }
    y[e] = T(MODE == KILN_POOL_MAX ? peak : total / window_count(top, left));
}
