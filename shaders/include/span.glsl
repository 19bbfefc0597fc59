/*
 * span.glsl - which values of x [outer, first, kept, second, inner] a result [part, outer, kept, inner] is made of: of those over the axes
 * first and second, counted as one by t, part_length a part. Include it behind the block that has these sizes.
 */
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

/* Where value t lies. */
uint kiln_span_at(kiln_span n, uint t)
{
    const uint a = t / p.second;
    return n.start + (a * p.kept * p.second + t - a * p.second) * p.inner;
}
