#version 450
/*
 * scatter_runs - scatter by sorted lists into what is there: an element of a pair a lane, which where its pair is the first of a
 * row goes through the row's run, in order (scatter.h).
 *
 * dispatch   LANES elements (o, s, i) a workgroup
 */
#include "scatter.glsl"

KILN_IN(0, uvec2, pairs);
KILN_IN_ANY(1, u);
KILN_IN(2, uint, sums);
#ifdef HALF
KILN_INOUT(3, float16_t, y_half);
#endif
KILN_INOUT(3, uint, y);

/* Whether pair s begins a part of this row alone. */
bool begins_part(uint begin, uint s, uint key)
{
    return p.summed != 0u && s % KILN_SCATTER_PART == 0u && s + KILN_SCATTER_PART <= p.count &&
           pairs[begin + s + KILN_SCATTER_PART - 1u].x == key;
}

uint update(uint o, uint begin, uint s, uint i) { return KILN_LOAD(1, u, (o * p.count + pairs[begin + s].y) * p.inner + i); }

void main()
{
    KILN_GROUP(group);
    const uint e = group * LANES + LANE;
    if (e >= p.outer * p.count * p.inner)
        return;

    const uint line = KILN_DIVIDE(e, inner), i = e - line * p.inner, o = KILN_DIVIDE(line, count);
    const uint begin = list_of(o, i) * p.count, parts = p.count / KILN_SCATTER_PART;
    uint s = line - o * p.count;
    const uint key = pairs[begin + s].x, row = key - p.first;
    if (row >= p.shown || (s > 0u && pairs[begin + s - 1u].x == key))
        return;
    const uint to = (o * p.shown + row) * p.inner + i;
    uint value = KILN_LOAD(3, y, to);
    while (s < p.count && pairs[begin + s].x == key) {
        if (begins_part(begin, s, key)) {
            value = meet(value, sums[(o * parts + s / KILN_SCATTER_PART) * p.inner + i]);
            s += KILN_SCATTER_PART;
        } else {
            value = meet(value, update(o, begin, s, i));
            s++;
        }
    }
    KILN_SAVE(3, y, to, value);
}
