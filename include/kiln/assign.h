/*
 * assign.h - what a detector learns from: which of its anchors stand for which true box, and a choice of them to learn by.
 *
 * Common to all:
 *   N pictures, each with A anchors and up to T true boxes, padded; or one, without the axis N. All sizes may be symbols, T is at
 *   least 1. Nothing comes back to the host, nothing depends on the device: of equals the first counts. Nothing here has a
 *   gradient, but for kiln_assigned by the truths.
 *   match, I32 [N, A]: the number of an anchor's true box, or one of the two below.
 */
#ifndef KILN_ASSIGN_H
#define KILN_ASSIGN_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KILN_ASSIGN_NEGATIVE (-1) /* an anchor of the background */
#define KILN_ASSIGN_IGNORED  (-2) /* neither: nothing is learned by it */

/** What anchors a true box gets that overlap it too little. */
typedef enum kiln_claim {
    KILN_CLAIM_NONE,
    /* All that overlap it as much as any does: each for the box that it overlaps most (Ren 2015, Faster R-CNN) */
    KILN_CLAIM_CLOSEST,
    /* One of its own: while any box has none, the largest overlap between such a box and an anchor that is no other's joins them
       (Liu 2016, SSD) */
    KILN_CLAIM_OWN,
} kiln_claim;

typedef struct kiln_assign_params {
    double positive; /* an anchor is of the box that it overlaps most, if so much; 0 means 0.5 */
    double negative; /* it is of the background if it overlaps none so much; 0 means as `positive` */
    kiln_claim claim;
} kiln_assign_params;

/**
 * Assign anchors to true boxes by how much they overlap. A claim is above the thresholds, but wants an overlap above 0.
 *
 * Shape:   overlap [N, T, A], reals, as of kiln_box_overlap(g, truths, anchors, KILN_IOU); count [N], integers, how many of the T
 *          are there, or KILN_NONE for all; or overlap [T, A] and count []. y is a match.
 */
KILN_API kiln_tensor kiln_assign_truths(kiln_graph *g, kiln_tensor overlap, kiln_tensor count,
                                        const kiln_assign_params *params);

/**
 * Assign to each true box the anchors that tell it best so far (Feng 2021, TOOD; Ge 2021, YOLOX; YOLOv8): the `most` of the largest
 * metric among those whose metric is above 0. An anchor that several boxes want is of the one that it overlaps most. All others are of
 * the background: nothing is ignored.
 *
 * Shape:   metric [N, T, A], reals: how well an anchor tells a box, as score^a overlap^b where it may stand for it, 0 elsewhere and
 *          for boxes that are not there; overlap as metric; or both [T, A]. y is a match. `most` beyond the anchors means them all,
 *          where their number is known.
 */
KILN_API kiln_tensor kiln_assign_best(kiln_graph *g, kiln_tensor metric, kiln_tensor overlap, int most);

/**
 * What belongs to each anchor's true box: values[n, match[n, a]], and 0 for anchors without one.
 * Shape:   values [N, T, ..], as boxes [N, T, 4] or classes [N, T]; y [N, A, ..].
 */
KILN_API kiln_tensor kiln_assigned(kiln_graph *g, kiln_tensor values, kiln_tensor match);

/**
 * The negatives that are the hardest: of each picture the `ratio` times as many as it has positives with the largest losses, or
 * `least` if that is more (Liu 2016, SSD: 3 and 0).
 * Shape:   loss [N, A], reals, as match; y BOOL, likewise.
 */
KILN_API kiln_tensor kiln_hard_negatives(kiln_graph *g, kiln_tensor loss, kiln_tensor match, double ratio,
                                         int least);

typedef struct kiln_balance_params {
    int count;       /* anchors of a picture; must be given */
    double fraction; /* of them positives, at the most: the rest are negatives; 0 means 0.5 */
} kiln_balance_params;

/**
 * Choose anchors at random: positives up to their fraction, then negatives up to the count.
 *
 * Shape:   match [N, A]; draw as match, F32: what decides, the least first of each kind, as of a uniform distribution over
 *          [0, 1), or KILN_NONE for kiln_random_uniform (random.h), by the weights' own source; y BOOL, as match. *index
 *          [N, count], where index is not NULL, I32: the places of those chosen, positives first; KILN_NOWHERE (indexing.h) behind
 *          the last. With it, A is at least 1.
 */
KILN_API kiln_tensor kiln_sample_balanced(kiln_graph *g, kiln_tensor match, kiln_tensor draw,
                                          const kiln_balance_params *params, kiln_tensor *index);

#ifdef __cplusplus
}
#endif
#endif
