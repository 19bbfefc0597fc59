/*
 * claim.h - anchors claimed by true boxes, one each: while a box has none, the largest overlap above 0 between such a box and an
 * anchor that is no other's joins them; of equals the first box, and its first anchor.
 *
 *   owner[n, a] = the box whose anchor a is, or -1
 *
 * Elements are counted as if all were bound; NAME_first, modulo 2^32, is added.
 *
 * bindings   0: overlap [images, truths, anchors]    1: owner [images, anchors] in and out
 *            2: best [images, truths], scratch: the best anchor left for each box, or none
 * units      images
 */
#include "interface.h"

#define KILN_CLAIM_NO_ANCHOR 0xffffffffu

KILN_PARAMS(claim)
{
    uint images, truths, anchors;
    uint first_image, overlap_first, owner_first, best_first;
}
KILN_PARAMS_END;
