#version 450
/*
 * nms_pick - the best of what is left, again and again (nms.h).
 *
 * dispatch   a workgroup a row, LANES a power of two. A pass over the row lets the last box picked act on the others and finds the
 *            best of them; each lane has boxes of its own, so that their scores need no barrier.
 */
#include "kiln.glsl"
#include "math.glsl"
#include "nms.h"
#include "boxes.glsl"

KILN_CONSTANT(2, METHOD);

KILN_IN(0, vec4, boxes);
KILN_IN(1, float, scores);
KILN_IN(2, int, classes);
KILN_IN(3, int, order);
KILN_INOUT(4, float, left);
KILN_OUT(5, int, kept);
KILN_OUT(6, float, kept_scores);
KILN_OUT(7, uint, counts);

const uint NONE = 0xffffffffu;

shared float best_scores[LANES];
shared uint best_boxes[LANES];

int class_of(uint box) { return CLASSED != 0u ? classes[p.first[2] + box] : 0; }

/* What a score becomes beside a box that was picked. */
float decayed(float score, vec4 picked, vec4 box)
{
    if (METHOD == KILN_DECAY_HARD)
        return suppresses(picked, box) ? KILN_MINUS_INFINITY : score;
    if (METHOD == KILN_DECAY_LINEAR && !suppresses(picked, box))
        return score;
    const float intersection = intersection_of(picked, box);
    const float iou = intersection > 0.0 ? intersection / union_of(picked, box, intersection) : 0.0;
    return score * (METHOD == KILN_DECAY_LINEAR ? 1.0 - iou : kiln_exp(-iou * iou / p.sigma));
}

/* The best of all lanes' boxes, the first of equals, in slot 0. */
void find_best(float score, uint box)
{
    best_scores[LANE] = score;
    best_boxes[LANE] = box;
    barrier();
    for (uint step = LANES / 2u; step > 0u; step /= 2u) {
        if (LANE < step) {
            const float a = best_scores[LANE], b = best_scores[LANE + step];
            if (b > a || (b == a && best_boxes[LANE + step] < best_boxes[LANE])) {
                best_scores[LANE] = b;
                best_boxes[LANE] = best_boxes[LANE + step];
            }
        }
        barrier();
    }
}

void store(uint row, uint at, int box, float score)
{
    kept[p.first[5] + row * p.keep + at] = box;
    kept_scores[p.first[6] + row * p.keep + at] = score;
}

void main()
{
    KILN_GROUP(row);
    const uint before = row * p.count, quads = p.first[0] / 4u + before;
    uint total = 0u, picked = NONE;
    vec4 by = vec4(0.0);
    int of_class = 0;
    for (bool more = true; more;) {
        float best = KILN_MINUS_INFINITY;
        uint box = NONE;
        for (uint i = LANE; i < p.count; i += LANES) {
            float score;
            if (picked == NONE) {
                score = scores[p.first[1] + before + i];
                score = is_candidate(score) ? score : KILN_MINUS_INFINITY;
            } else {
                score = left[p.first[4] + before + i];
                if (i == picked)
                    score = KILN_MINUS_INFINITY;
                else if (score > p.score && class_of(before + i) == of_class)
                    score = decayed(score, by, corners_of(boxes[quads + i]));
            }
            left[p.first[4] + before + i] = score;
            if (score > best) {
                best = score;
                box = i;
            }
        }
        find_best(best, box);
        best = best_scores[0];
        picked = best_boxes[0];
        barrier();
        more = best > p.score && picked != NONE && total < p.keep;
        if (more) {
            if (LANE == 0u)
                store(row, total, order[p.first[3] + before + picked], best);
            total++;
            by = corners_of(boxes[quads + picked]);
            of_class = class_of(before + picked);
        }
    }
    for (uint at = total + LANE; at < p.keep; at += LANES)
        store(row, at, int(0x80000000u), 0.0);
    if (LANE == 0u)
        counts[p.first[7] + row] = total;
}
