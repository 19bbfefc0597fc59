/*
 * span.glsl - which values of x [outer, first, kept, second, inner] a result [part, outer, kept, inner] is made of: of those over the axes
 * first and second, counted as one by t, part_length a part. Include it behind the block that has these sizes.
 */
#include "walk.glsl"

struct kiln_span {
    uint start;         /* of x[o, 0, k, 0, i] */
    uint from, to;      /* of t */
};

kiln_span kiln_span_of(uint result)
{
    const uint i = result % p.inner;
    const uint k = result / p.inner % p.kept;
    const uint o = result / (p.inner * p.kept) % p.outer;
    const uint s = result / (p.inner * p.kept * p.outer);
    const uint from = s * p.part_length;
    return kiln_span((o * p.first * p.kept + k) * p.second * p.inner + i, from,
                     min(from + p.part_length, p.first * p.second));
}

/* A walk from value t on. */
kiln_walk kiln_span_walk(kiln_span n, uint t) { return kiln_walk_at(n.start, t, p.second, p.kept * p.second, p.inner); }
kiln_pace kiln_span_pace(uint step) { return kiln_pace_of(p.second, p.kept * p.second, p.inner, step); }
