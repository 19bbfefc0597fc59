#version 450
/*
 * claim - anchors claimed by true boxes, one each (claim.h).
 *
 * First the best anchor of each box is found. Then, round by round, the best of these is given away, and boxes that wanted it
 * look again. What lies in memory is read and written by one lane each: anchor a and box t by those of their number modulo LANES.
 *
 * bindings   0: overlap    1: owner in and out    2: best in and out
 * dispatch   a picture a workgroup
 */
#include "kiln.glsl"
#include "claim.h"

KILN_IN(0, float, overlap);
KILN_INOUT(1, int, owner);
KILN_INOUT(2, uint, best);

shared float value[LANES];
shared uint place[LANES];   /* KILN_CLAIM_NO_ANCHOR: nothing */
shared uint taken;
shared bool again[LANES];

uint overlaps, owners, bests;   /* where the picture's begin */

/* The largest value of all lanes, of equals that of the least place, comes to lane 0. */
void find_largest()
{
    for (uint half_of = LANES / 2u; half_of > 0u; half_of /= 2u) {
        barrier();
        if (LANE >= half_of)
            continue;
        const uint other = LANE + half_of;
        if (value[other] > value[LANE] || (value[other] == value[LANE] && place[other] < place[LANE])) {
            value[LANE] = value[other];
            place[LANE] = place[other];
        }
    }
    barrier();
}

/* The best anchor that is left for a box becomes its best. */
void look(uint truth)
{
    barrier();
    value[LANE] = 0.0;
    place[LANE] = KILN_CLAIM_NO_ANCHOR;
    for (uint a = LANE; a < p.anchors; a += LANES) {
        const float here = overlap[overlaps + truth * p.anchors + a];
        if (here > value[LANE] && owner[owners + a] < 0) {
            value[LANE] = here;
            place[LANE] = a;
        }
    }
    find_largest();
    if (truth % LANES == LANE)
        best[bests + truth] = place[0];
}

/* Of all boxes that have a best anchor, the one that overlaps it most comes to place[0]. */
void find_box()
{
    barrier();
    value[LANE] = 0.0;
    place[LANE] = KILN_CLAIM_NO_ANCHOR;
    for (uint t = LANE; t < p.truths; t += LANES) {
        const uint a = best[bests + t];
        const float here = a == KILN_CLAIM_NO_ANCHOR ? 0.0 : overlap[overlaps + t * p.anchors + a];
        if (here > value[LANE]) {
            value[LANE] = here;
            place[LANE] = t;
        }
    }
    find_largest();
}

/* Give a box its best anchor. */
void give(uint truth)
{
    barrier();
    if (truth % LANES == LANE) {
        taken = best[bests + truth];
        best[bests + truth] = KILN_CLAIM_NO_ANCHOR;
    }
    barrier();
    if (taken % LANES == LANE)
        owner[owners + taken] = int(truth);
}

/* Boxes whose best anchor has been taken look again. */
void look_again()
{
    const uint anchor = taken;
    for (uint first = 0u; first < p.truths; first += LANES) {
        barrier();
        const uint mine = first + LANE;
        again[LANE] = mine < p.truths && best[bests + min(mine, p.truths - 1u)] == anchor;
        barrier();
        for (uint i = 0u; i < min(LANES, p.truths - first); i++)
            if (again[i])
                look(first + i);
    }
}

void main()
{
    KILN_GROUP(group);
    const uint n = p.first_image + group;
    overlaps = p.overlap_first + n * p.truths * p.anchors;
    owners = p.owner_first + n * p.anchors;
    bests = p.best_first + n * p.truths;
    for (uint a = LANE; a < p.anchors; a += LANES)
        owner[owners + a] = -1;
    for (uint t = 0u; t < p.truths; t++)
        look(t);
    for (uint round = 0u; round < p.truths; round++) {
        find_box();
        const uint truth = place[0];
        if (truth == KILN_CLAIM_NO_ANCHOR)
            break;
        give(truth);
        look_again();
    }
}
