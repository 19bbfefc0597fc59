#version 450
/*
 * overlap - how well each box fits each other one (overlap.h).
 *
 * dispatch   LANES pairs a workgroup
 */
#include "kiln.glsl"
#include "math.glsl"
#include "trigonometry.glsl"
#include "overlap.h"
#include "pair.glsl"

KILN_IN(0, vec4, a);
KILN_IN(1, vec4, b);
KILN_OUT(2, float, y);

float overlap_of(Pair q)
{
    if (KIND == KILN_OVERLAP_IOU)
        return q.iou;
    if (KIND == KILN_OVERLAP_GIOU)
        return q.iou - quotient(q.hull.x * q.hull.y - q.all, q.hull.x * q.hull.y);
    const float apart = quotient(dot(q.apart, q.apart), dot(q.hull, q.hull));
    return q.iou - apart - q.alpha * TURNS * q.turn * q.turn;
}

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.rows * p.n * p.m)
        return;

    const uint rest = KILN_DIVIDE(e, m), j = e - rest * p.m;
    const uint row = KILN_DIVIDE(rest, n), i = rest - row * p.n;
    const Pair q = pair_of(a[p.first[0] / 4u + row * p.n_step + i], b[p.first[1] / 4u + row * p.m_step + j]);
    y[p.first[2] + row * p.y_row + i * p.y_n + j * p.y_m] = overlap_of(q);
}
