#version 450
/*
 * overlap_grad - how the overlaps of a box with all others change with its corners (overlap.h).
 *
 * dispatch   LANES boxes a workgroup, a lane each
 */
#include "kiln.glsl"
#include "math.glsl"
#include "trigonometry.glsl"
#include "overlap.h"
#include "pair.glsl"

KILN_IN(0, float, dy);
KILN_IN(1, vec4, own);
KILN_IN(2, vec4, other);
KILN_OUT(3, vec4, d);

/* What goes to a where the less of a and b counts. */
vec2 share_of_less(vec2 a, vec2 b)
{
    return vec2(a.x < b.x ? 1.0 : a.x == b.x ? 0.5 : 0.0, a.y < b.y ? 1.0 : a.y == b.y ? 0.5 : 0.0);
}

vec2 is_positive(vec2 x) { return vec2(x.x > 0.0 ? 1.0 : 0.0, x.y > 0.0 ? 1.0 : 0.0); }

/* By the box around both: of GIOU by way of its area, else of its diagonal. */
vec2 by_hull(Pair q)
{
    if (KIND == KILN_OVERLAP_GIOU) {
        const float hull = q.hull.x * q.hull.y;
        return -quotient(quotient(q.all, hull), hull) * q.hull.yx;
    }
    const float diagonal = dot(q.hull, q.hull);
    return 2.0 * quotient(quotient(dot(q.apart, q.apart), diagonal), diagonal) * q.hull;
}

/* By the sides of the box. */
vec2 by_size(Pair q, float by_area)
{
    const float squares = dot(q.size_a, q.size_a);
    const float by_angle = -2.0 * TURNS * q.alpha * q.turn;
    return by_area * q.size_a.yx + by_angle * vec2(quotient(q.size_a.y, squares), -quotient(q.size_a.x, squares));
}

vec4 slope_of(vec4 a, vec4 b)
{
    const Pair q = pair_of(a, b);
    float by_intersection = quotient(1.0 + q.iou, q.all), by_area = -quotient(q.iou, q.all);
    vec2 hull = vec2(0.0), centre = vec2(0.0);
    if (KIND == KILN_OVERLAP_GIOU) {
        const float by_all = quotient(1.0, q.hull.x * q.hull.y);
        by_intersection -= by_all;
        by_area += by_all;
    }
    if (KIND != KILN_OVERLAP_IOU)
        hull = by_hull(q) * is_positive(q.hull);
    if (KIND >= KILN_OVERLAP_DIOU) {
        const float diagonal = dot(q.hull, q.hull);
        centre = -vec2(quotient(q.apart.x, diagonal), quotient(q.apart.y, diagonal));
    }
    const vec2 size = by_size(q, by_area) * is_positive(q.size_a);
    const vec2 both = by_intersection * q.both.yx * is_positive(q.both);
    return vec4(centre - size - both * share_of_less(b.xy, a.xy) - hull * share_of_less(a.xy, b.xy),
                centre + size + both * share_of_less(a.zw, b.zw) + hull * share_of_less(b.zw, a.zw));
}

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.rows * p.n)
        return;

    const uint row = KILN_DIVIDE(e, n), i = e - row * p.n;
    const vec4 box = own[p.first[1] / 4u + row * p.n_step + i];
    vec4 sum = vec4(0.0);
    for (uint j = 0; j < p.m; j++) {
        const float g = dy[p.first[0] + row * p.y_row + i * p.y_n + j * p.y_m];
        if (g != 0.0)
            sum += g * slope_of(box, other[p.first[2] / 4u + row * p.m_step + j]);
    }
    d[p.first[3] / 4u + e] = sum;
}
