/* boxes.glsl - when a box suppresses another (nms.h). Every rounding is named, so that no driver decides otherwise. */

KILN_CONSTANT(0, CLASSED);
KILN_CONSTANT(1, CENTRES);

/* (x1, y1, x2, y2) with x1 <= x2, y1 <= y2 */
vec4 corners_of(vec4 box)
{
    if (CENTRES == 0u)
        return vec4(min(box.xy, box.zw), max(box.xy, box.zw));
    precise const vec2 low = box.xy - 0.5 * box.zw, high = box.xy + 0.5 * box.zw;
    return vec4(min(low, high), max(low, high));
}

float area_of(vec4 box)
{
    precise const vec2 size = box.zw - box.xy;
    precise const float area = size.x * size.y;
    return area;
}

float intersection_of(vec4 a, vec4 b)
{
    precise const vec2 size = max(min(a.zw, b.zw) - max(a.xy, b.xy), vec2(0.0));
    precise const float area = size.x * size.y;
    return area;
}

float union_of(vec4 a, vec4 b, float intersection)
{
    precise const float both = area_of(a) + area_of(b);
    precise const float area = both - intersection;
    return area;
}

bool suppresses(vec4 a, vec4 b)
{
    const float intersection = intersection_of(a, b);
    precise const float least = p.overlap * union_of(a, b, intersection);
    return intersection > least;
}

bool is_candidate(float score) { return !kiln_is_nan(score) && score > p.score; }
