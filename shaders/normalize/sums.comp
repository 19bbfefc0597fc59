#version 450
#extension GL_EXT_control_flow_attributes : require
/*
 * normalize_sums - by_scale[s, k] and by_shift[s, k]: dy times the normalized x, and dy, summed over part s
 *
 * bindings   0: x    1: dy    2: mean    3: inverse    4: by_scale    5: by_shift
 * dispatch   a workgroup a result; with COLUMNS, for channels that lie side by side, a lane a result
 */
#include "kiln.glsl"
#include "lanes.glsl"
#include "sums.h"
#include "walk.glsl"

KILN_CONSTANT(0, CENTER);
KILN_CONSTANT(1, SHARED);

KILN_IN(0, T, x);
KILN_IN(1, T, dy);
KILN_IN(2, float, mean);
KILN_IN(3, float, inverse);
KILN_OUT(4, float, by_scale);
KILN_OUT(5, float, by_shift);

uint first_row;         /* of the part, */
float middle, rate;     /* and its mean and inverse where they are SHARED */

void set_row(uint row)
{
    middle = CENTER != 0u ? mean[row] : 0.0;
    rate = inverse[row];
}

struct kiln_pair {
    float g, h;         /* of dy, and of the normalized x */
};

kiln_pair next(inout kiln_walk w, kiln_pace pace)
{
    if (SHARED == 0u)
        set_row(first_row + w.run * p.groups);
    const kiln_pair pair = kiln_pair(float(dy[w.at]), (float(x[w.at]) - middle) * rate);
    kiln_step(w, pace);
    return pair;
}

void main()
{
    KILN_RESULT(result, p.parts * p.channels);
    const uint part = result / p.channels, k = result - part * p.channels;
    const uint from = part * p.part_length, count = (min(from + p.part_length, p.count) - from) * p.inner;
    first_row = p.first_row + from * p.groups + k / p.group;
    if (SHARED != 0u)
        set_row(first_row);
    kiln_walk w = kiln_walk_at((from * p.channels + k) * p.inner, FIRST, p.inner, p.channels * p.inner, 1u);
    const kiln_pace pace = kiln_pace_of(p.inner, p.channels * p.inner, 1u, STEP);
    float product = 0.0, sum = 0.0;
    uint t = FIRST;
    for (; t + 3u * STEP < count; t += 4u * STEP) {
        kiln_pair pair[4];
        [[unroll]] for (uint j = 0; j < 4u; j++)
            pair[j] = next(w, pace);
        [[unroll]] for (uint j = 0; j < 4u; j++) {
            sum += pair[j].g;
            product += pair[j].g * pair[j].h;
        }
    }
    for (; t < count; t += STEP) {
        const kiln_pair one = next(w, pace);
        sum += one.g;
        product += one.g * one.h;
    }
    product = SUM(product);
    sum = SUM(sum);
    if (FIRST == 0u) {
        by_scale[p.first_part * p.channels + result] = product;
        by_shift[p.first_part * p.channels + result] = sum;
    }
}
