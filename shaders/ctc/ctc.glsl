/*
 * ctc.glsl - a sequence as its shaders see it. Include after the block, and after the buffers target, lengths and x.
 */
#define HAS(flag) ((p.how & (flag)) != 0u)

/* Frames, labels and states of sequence n; none where a length does not fit. */
struct sequence {
    uint n, frames, labels, states;
    bool fits;
};

sequence kiln_sequence(uint n)
{
    const uint frames = lengths[n], labels = lengths[p.sequences + n];
    if (frames > p.frames || labels > p.labels)
        return sequence(n, 0u, 0u, 1u, false);
    return sequence(n, frames, labels, 2u * labels + 1u, true);
}

/* The class of a state. */
uint kiln_class(sequence q, uint s) { return (s & 1u) != 0u ? target[q.n * p.labels + s / 2u] : p.blank; }

#ifdef KILN_CTC_X
/* What frame t says of a class. */
float kiln_said(sequence q, uint t, uint c)
{
    return c < p.classes ? KILN_CTC_X(p.x_skip + ((t - p.first) * p.sequences + q.n) * p.classes + c) : KILN_NAN;
}
#endif
