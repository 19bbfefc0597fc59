/* pair.glsl - what two boxes have in both, and around them (overlap.h). */

KILN_CONSTANT(0, KIND);

struct Pair {
    vec2 size_a, size_b, both, hull, apart;
    float intersection, all, iou;       /* all: the area of the union */
    float turn, alpha;                  /* CIOU: the difference of the angles, and its weight */
};

float quotient(float a, float b) { return b > 0.0 ? a / b : 0.0; }

float angle_of(vec2 size) { return size.x > 0.0 || size.y > 0.0 ? kiln_atan2(size.x, size.y) : 0.0; }

const float TURNS = 0.40528473456935109;        /* 4 / pi^2 */

Pair pair_of(vec4 a, vec4 b)
{
    Pair q;
    q.size_a = max(a.zw - a.xy, vec2(0.0));
    q.size_b = max(b.zw - b.xy, vec2(0.0));
    q.both = max(min(a.zw, b.zw) - max(a.xy, b.xy), vec2(0.0));
    q.hull = max(max(a.zw, b.zw) - min(a.xy, b.xy), vec2(0.0));
    q.apart = 0.5 * (a.xy - b.xy) + 0.5 * (a.zw - b.zw);
    q.intersection = q.both.x * q.both.y;
    q.all = q.size_a.x * q.size_a.y + q.size_b.x * q.size_b.y - q.intersection;
    q.iou = quotient(q.intersection, q.all);
    q.turn = q.alpha = 0.0;
    if (KIND == KILN_OVERLAP_CIOU) {
        q.turn = angle_of(q.size_a) - angle_of(q.size_b);
        const float v = TURNS * q.turn * q.turn;
        q.alpha = quotient(v, 1.0 - q.iou + v);
    }
    return q;
}
