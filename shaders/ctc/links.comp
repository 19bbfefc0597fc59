#version 450
/*
 * ctc_links - where each class stands among the labels of a sequence, and where it stands next (ctc.h).
 *
 * dispatch   a workgroup a sequence, a lane a label
 */
#include "kiln.glsl"
#include "ctc.h"

KILN_IN(0, uint, target);
KILN_IN(1, uint, lengths);
KILN_INOUT(2, uint, links);

#include "ctc.glsl"

void main()
{
    KILN_GROUP(n);
    const sequence q = kiln_sequence(p.first + n);
    const uint row = n * p.labels, link = n * (p.classes + p.labels);
    for (uint i = LANE; i < p.labels; i += LANES) {
        const uint own = target[row + i];
        bool first = i < q.labels;
        for (uint j = 0u; j < i && first; j++)
            first = target[row + j] != own;
        if (first && own < p.classes)
            links[link + own] = i + 1u;
        uint next = i + 1u;
        while (next < q.labels && target[row + next] != own)
            next++;
        links[link + p.classes + i] = next < q.labels ? next + 1u : 0u;
    }
}
