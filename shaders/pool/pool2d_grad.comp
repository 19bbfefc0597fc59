#version 450
/*
 * pool2d_grad - each element of dx gathers from the windows that cover it, so no two lanes write one place.
 *
 *   max    dx[e] = sum of dy over the windows in which e is the first of the largest
 *   mean   dx[e] = sum of dy / taps over the windows that cover e
 *
 * bindings   0: x in (max only; else dy)    1: dy in    2: dx out
 * dispatch   LANES elements of dx a workgroup
 * numerics   sums in float, in the order of the windows
 */
#include "kiln.glsl"
#include "pool2d.h"
#include "pool.glsl"

KILN_IN(0, T, x);
KILN_IN(1, T, dy);
KILN_OUT(2, T, dx);

/* Whether the tap (u, v) of the window at (top, left) is the first of the largest: none before it is as
 * large, none behind it is larger. NaN is the largest, and the first NaN wins. */
bool wins(uint plane, int top, int left, uint u, uint v, float value)
{
    for (uint s = 0; s < p.size_h; s++)
        for (uint t = 0; t < p.size_w; t++) {
            const int i = top + int(s * p.dilation_h), j = left + int(t * p.dilation_w);
            if (!inside(i, j) || (s == u && t == v))
                continue;
            const float other = float(x[(plane * p.height + uint(i)) * p.width + uint(j)]);
            const bool earlier = s < u || (s == u && t < v);
            if (kiln_is_nan(other) ? earlier || !kiln_is_nan(value)
                                   : !kiln_is_nan(value) && (earlier ? other >= value : other > value))
                return false;
        }
    return true;
}

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.planes * p.height * p.width)
        return;

    const uint row = KILN_DIVIDE(e, width), plane = KILN_DIVIDE(row, height);
    const int i = int(row - plane * p.height), j = int(e - row * p.width);
    float total = 0.0;
    /* From the last tap to the first, so that the windows come in their own order. */
    for (uint u = p.size_h; u-- > 0;)
        for (uint v = p.size_w; v-- > 0;) {
            const int top = i - int(u * p.dilation_h), left = j - int(v * p.dilation_w);
            const int a = top + int(p.pad_h), b = left + int(p.pad_w);
            if (a < 0 || b < 0 || a % int(p.stride_h) != 0 || b % int(p.stride_w) != 0)
                continue;
            const uint oi = uint(a) / p.stride_h, oj = uint(b) / p.stride_w;
            if (oi >= p.out_height || oj >= p.out_width)
                continue;
            const float pull = float(dy[(plane * p.out_height + oi) * p.out_width + oj]);
            if (MODE != KILN_POOL_MAX)
                total += pull / window_count(top, left);
            else if (wins(plane, top, left, u, v, float(x[e])))
                total += pull;
        }
    dx[e] = T(total);
}
