#version 450
/*
 * nms_mask - whom each candidate suppresses among the boxes after it (nms.h).
 *
 * dispatch   a workgroup for a tile of LANES boxes and a word of 32 others, which lie in shared memory; those without a box after
 *            their tile do nothing
 */
#include "kiln.glsl"
#include "nms.h"
#include "boxes.glsl"

KILN_IN(0, vec4, boxes);
KILN_IN(1, float, scores);
KILN_IN(2, int, classes);
KILN_OUT(3, uint, mask);

shared vec4 others[32];
shared int classes_of_others[32];

void main()
{
    KILN_GROUP(group);
    const uint rest = KILN_DIVIDE(group, words), word = group - rest * p.words;
    const uint row = KILN_DIVIDE(rest, tiles), tile = rest - row * p.tiles;
    const uint before = row * p.count;
    if (32u * word + 32u <= LANES * tile)
        return;

    const uint other = 32u * word + LANE;
    if (LANE < 32u && other < p.count) {
        others[LANE] = corners_of(boxes[p.first[0] / 4u + before + other]);
        classes_of_others[LANE] = CLASSED != 0u ? classes[p.first[2] + before + other] : 0;
    }
    barrier();

    const uint i = LANES * tile + LANE;
    if (i >= p.count || i / 32u > word || !is_candidate(scores[p.first[1] + before + i]))
        return;
    const vec4 box = corners_of(boxes[p.first[0] / 4u + before + i]);
    const int of_class = CLASSED != 0u ? classes[p.first[2] + before + i] : 0;
    const uint from = i / 32u == word ? i % 32u + 1u : 0u, end = min(p.count - 32u * word, 32u);
    uint bits = 0u;
    for (uint b = from; b < end; b++)
        if (classes_of_others[b] == of_class && suppresses(box, others[b]))
            bits |= 1u << b;
    mask[p.first[3] + (before + i) * p.words + word] = bits;
}
