/*
 * nms.h - the parameters of the kernels of non-maximum suppression. A row has `count` boxes in descending order of their scores;
 * those with a score above `score` are its candidates.
 *
 *   nms_mask   bit b of mask[r, i, w]: candidate i suppresses box j = 32 w + b, which comes after it. Written are the words of
 *              candidates, from w = i / 32 on.
 *   nms_scan   of each row the candidates that none kept before them suppresses, in order, `keep` of them at the most
 *   nms_pick   the same without a mask: the best of what is left, again and again, whose score then is -infinity; of the others
 *              HARD puts those that it suppresses to -infinity, LINEAR scales these by 1 - IoU, and GAUSSIAN scales all by
 *              exp(-IoU^2 / sigma) (Bodla 2017). Of equal scores the first is taken.
 *
 * Box i suppresses j of the same class where I > overlap U, for the areas I of their intersection and U = area_i + area_j - I of
 * their union. What decides is computed in float32 in this order, by everyone: so all devices keep the same boxes. (What LINEAR
 * and GAUSSIAN make of scores is a real like any other.)
 *
 * What is kept is told by `order`, the number that each box had before it came here. Where fewer than `keep` are kept, the rest of
 * kept is KILN_NOWHERE and the rest of kept_scores 0.
 *
 * bindings   nms_mask   0: boxes [rows, count, 4]    1: scores [rows, count]    2: classes, likewise, or unbound
 *                       3: mask [rows, count, words]
 *            nms_scan   0: scores    1: mask    2: order [rows, count]    3: kept [rows, keep]    4: kept_scores, likewise
 *                       5: counts [rows]
 *            nms_pick   0: boxes    1: scores    2: classes    3: order    4: left [rows, count], scores as they become
 *                       5: kept    6: kept_scores    7: counts
 * constants  0: 1 where classes are bound    1: 1 where boxes are (centre, size), not corners    2: method
 * units      nms_mask: boxes    others: rows
 */
#include "interface.h"
#include "divide.h"

#define KILN_NMS_TILE  64u              /* boxes of a workgroup of nms_mask */
#define KILN_NMS_WORDS 2048u            /* of a row's mask, at the most */
#define KILN_NMS_UNROLLED 8u            /* boxes that nms_scan goes through in a round of its loops */

/* Methods, in the order of kiln_nms_method. */
#define KILN_DECAY_HARD     0u
#define KILN_DECAY_LINEAR   1u
#define KILN_DECAY_GAUSSIAN 2u

KILN_PARAMS(nms) {
    uint rows, count, keep;
    uint first[8];                      /* binding i's operand begins so many elements behind its beginning */
    KILN_DIVISOR(words);                /* of the mask of a box: count / 32, rounded up */
    KILN_DIVISOR(tiles);                /* of a row: count / KILN_NMS_TILE, rounded up */
    float overlap, score;
    KILN_REAL(sigma);
} KILN_PARAMS_END;
