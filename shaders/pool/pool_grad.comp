#version 450
/*
 * pool_grad - each element of dx gathers from the windows that cover it, so no two lanes write one place (pool.h).
 *
 *   max    dx[e] = sum of dy over the windows in which e is the first of the largest, or which the index says have it
 *   mean   dx[e] = sum of dy / counted over the windows that cover e
 *   sum    dx[e] = sum of dy over them
 *
 * bindings   0: x in (max without index)    1: dy in    2: dx out    3: index in
 * dispatch   LANES elements of dx a workgroup
 * numerics   sums in float, in the order of the windows
 */
#include "kiln.glsl"
#include "pool.h"
#include "pool.glsl"

KILN_IN(0, T, x);
KILN_IN(1, T, dy);
KILN_OUT(2, T, dx);
KILN_IN(3, uint, index);

/* The windows [first, end) that may cover element r of an axis of `size`; those that do are where `covers` holds. */
struct kiln_range {
    uint first, end;
};

kiln_range covering(uint r, uint size, uint windows, uint taps, uint stride, uint pad, uint dilation)
{
    if (ADAPTIVE)
        return kiln_range(r * windows / size, ((r + 1u) * windows + size - 1u) / size);
    const uint reach = (taps - 1u) * dilation, padded = r + pad;
    const uint first = padded > reach ? (padded - reach + stride - 1u) / stride : 0u;
    return kiln_range(first, min(padded / stride + 1u, windows));
}

bool covers(uint q, uint r, uint stride, uint pad, uint dilation)
{
    return ADAPTIVE || dilation == 1u || (r + pad - q * stride) % dilation == 0u;
}

/* Whether `value`, at that place, is the first of the largest in its window: none before it is as large, none behind it is
 * larger. NaN is the largest, and the first NaN wins. */
bool wins(float value, uint place, uint plane, kiln_span a, kiln_span i, kiln_span j)
{
    for (uint s = 0; s < a.count; s++)
        for (uint t = 0; t < i.count; t++)
            for (uint k = 0; k < j.count; k++) {
                const uint at = place_of(a.first + s * a.step, i.first + t * i.step, j.first + k * j.step);
                if (at == place)
                    continue;
                const float other = float(x[p.x_first + plane + at]);
                if (kiln_is_nan(other) ? at < place || !kiln_is_nan(value)
                                       : !kiln_is_nan(value) && (at < place ? other >= value : other > value))
                    return false;
            }
    return true;
}

void main()
{
    KILN_GROUP(group);
    const uint lane = group * LANES + LANE;
    if (lane >= p.results)
        return;

    const uint e = p.first + lane, row = KILN_DIVIDE(e, w), slice = KILN_DIVIDE(row, h);
    const uint n = VOLUME ? KILN_DIVIDE(slice, d) : slice, plane = n * (VOLUME ? p.d * p.h : p.h) * p.w;
    const uint a = slice - n * p.d, i = row - slice * p.h, j = e - row * p.w;
    const uint mine = INDEXED ? index_of(a, i, j) : 0u;
    const float value = MODE == KILN_POOL_MAX && !INDEXED ? float(x[p.x_first + e]) : 0.0;

    const kiln_range ra = VOLUME ? covering(a, p.d, p.od, p.size_a, p.stride_a, p.pad_a, p.dilation_a) : kiln_range(0u, 1u);
    const kiln_range ri = covering(i, p.h, p.oh, p.size_i, p.stride_i, p.pad_i, p.dilation_i);
    const kiln_range rj = covering(j, p.w, p.ow, p.size_j, p.stride_j, p.pad_j, p.dilation_j);
    float total = 0.0;
    for (uint qa = ra.first; qa < ra.end; qa++)
        for (uint qi = ri.first; qi < ri.end; qi++)
            for (uint qj = rj.first; qj < rj.end; qj++) {
                if ((VOLUME && !covers(qa, a, p.stride_a, p.pad_a, p.dilation_a)) ||
                    !covers(qi, i, p.stride_i, p.pad_i, p.dilation_i) || !covers(qj, j, p.stride_j, p.pad_j, p.dilation_j))
                    continue;
                const uint q = p.y_first + (((VOLUME ? n * p.od + qa : n) * p.oh) + qi) * p.ow + qj;
                const float pull = float(dy[q]);
                if (MODE == KILN_POOL_SUM) {
                    total += pull;
                    continue;
                }
                if (MODE == KILN_POOL_MAX && INDEXED) {
                    total += index[q] == mine ? pull : 0.0;
                    continue;
                }
                const kiln_span wa = window_a(qa), wi = window_i(qi), wj = window_j(qj);
                if (MODE != KILN_POOL_MAX)
                    total += pull / float(wa.counted * wi.counted * wj.counted);
                else if (wins(value, e - plane, plane, wa, wi, wj))
                    total += pull;
            }
    dx[p.dx_first + e] = T(total);
}
