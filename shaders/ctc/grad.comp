#version 450
/*
 * ctc_grad - how much of a frame each class has, from the rows of both directions (ctc.h). A class sums over the places of its
 * label in their order, so that no two lanes write the same element.
 *
 * dispatch   a workgroup a frame of a sequence; its lanes take states, then classes
 */
#include "kiln.glsl"
#include "ctc.h"
#include "math.glsl"
#include "group.glsl"

KILN_IN(0, T, x);
KILN_IN(1, uint, target);
KILN_IN(2, uint, lengths);
KILN_IN(3, uint, links);
KILN_IN(4, float, alpha);
KILN_IN(5, float, beta);
KILN_IN(6, T, dy);
KILN_OUT(7, T, dx);

#define KILN_CTC_X(i) float(x[i])
#include "ctc.glsl"

uint frame, row;                        /* this one, and where its states begin */

/* log w[s] */
float weight_of(sequence q, uint s)
{
    const float said = kiln_said(q, frame, kiln_class(q, s));
    return said == KILN_MINUS_INFINITY ? said : alpha[row + s] + beta[row + s] - said;
}

void main()
{
    KILN_GROUP(group);
    const sequence q = kiln_sequence(group % p.sequences);
    const uint at = p.x_skip + group * p.classes;
    frame = p.first + group / p.sequences;
    row = p.row_skip + group * (2u * p.labels + 1u);

    float peak = KILN_MINUS_INFINITY, total = 0.0, blanks = 0.0;
    if (frame < q.frames) {
        for (uint s = LANE; s < q.states; s += LANES)
            peak = kiln_max(peak, weight_of(q, s));
        peak = kiln_group_max(peak);
        for (uint s = LANE; s < q.states; s += LANES) {
            const float w = kiln_exp(weight_of(q, s) - peak);
            total += w;
            blanks += (s & 1u) == 0u ? w : 0.0;
        }
        total = kiln_group_sum(total);
        blanks = kiln_group_sum(blanks);
    }

    const bool none = frame < q.frames && peak == KILN_MINUS_INFINITY;
    float pull = frame < q.frames ? -float(dy[q.n]) / total : 0.0;
    if (none || !q.fits)
        pull = none && HAS(KILN_CTC_FORGIVE) ? 0.0 : KILN_NAN;
    const uint link = q.n * (p.classes + p.labels);
    for (uint c = LANE; c < p.classes; c += LANES) {
        float sum = c == p.blank ? blanks : 0.0;
        for (uint i = none || frame >= q.frames ? 0u : links[link + c]; i != 0u; i = links[link + p.classes + i - 1u])
            sum += kiln_exp(weight_of(q, 2u * i - 1u) - peak);
        dx[at + c] = T(none || !q.fits ? pull : sum * pull);
    }
}
