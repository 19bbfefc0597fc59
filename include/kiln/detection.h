/*
 * detection.h - boxes: formats, overlap, suppression of those that find the same thing.
 *
 * A box is the last axis, 4 reals: its corners (x1, y1, x2, y2), unless params say that it is (centre x, centre y, width, height).
 * The other axes are rows of any number. A box whose x2 is less than x1, or y2 than y1, is empty, but where suppression takes any
 * two opposite corners. Quotients by areas of 0 are 0, so that no box makes NaN.
 */
#ifndef KILN_DETECTION_H
#define KILN_DETECTION_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Suppression: of boxes that overlap, the one with the highest score ------------------------------------------ */

/** What becomes of the score of a box that overlaps a kept one by more than `overlap`. */
typedef enum kiln_nms_method {
    KILN_NMS_HARD,     /* it is dropped */
    KILN_NMS_LINEAR,   /* it is scaled by 1 - IoU (Bodla 2017, Soft-NMS) ... */
    KILN_NMS_GAUSSIAN, /* ... or by exp(-IoU^2 / sigma), however little they overlap; scores are not negative */
} kiln_nms_method;

typedef struct kiln_nms_params {
    kiln_nms_method method;
    double overlap; /* intersection over union above which boxes compete; 0 means 0.5, KILN_ZERO means 0 */
    double score;   /* only a score above it counts; 0 means any, KILN_ZERO means 0 */
    double sigma;   /* of GAUSSIAN; 0 means 0.5 */
    int64_t most;   /* boxes that are kept of a row; 0: all */
    int64_t candidates; /* only so many of a row, those of the highest scores, take part; 0: all */
    bool centres;       /* boxes are (centre x, centre y, width, height) */
} kiln_nms_params;

/**
 * Non-maximum suppression on the device: take the box of the highest score, drop those that overlap it too much, or lower
 * their scores, and so on with what is left. Of equal scores the first comes first. NaN and -infinity never count. Whether boxes
 * overlap too much is decided in float32 in a fixed order of operations, so HARD keeps the same boxes on every device. Boxes of
 * different classes do not compete. No gradient.
 *
 * Shape:   boxes [N, 4]; scores [N]; classes [N], integers, or KILN_NONE; y [S], I32: the places of the boxes that are kept, in
 *          descending order of their scores. S depends on data. *count, where count is not NULL: S as an I32 scalar.
 */
KILN_API kiln_tensor kiln_nms(kiln_graph *g, kiln_tensor boxes, kiln_tensor scores, kiln_tensor classes,
                              const kiln_nms_params *params, kiln_tensor *count);

/**
 * The same for many rows at once, with as many places as may be kept.
 *
 * Shape:   boxes [R.., N, 4]; scores and classes [R.., N]; or scores [R.., C, N] for C classes that share the boxes, without
 *          `classes`. y [R.., M] or [R.., C, M], I32, M being `most`, or N (`candidates`) without: KILN_NOWHERE beyond those that
 *          are kept. *kept_scores likewise, 0 beyond: what has become of their scores. *counts [R..] or [R.., C], I32. Both may be
 *          NULL.
 */
KILN_API kiln_tensor kiln_nms_rows(kiln_graph *g, kiln_tensor boxes, kiln_tensor scores, kiln_tensor classes,
                                   const kiln_nms_params *params, kiln_tensor *kept_scores,
                                   kiln_tensor *counts);

/**
 * The same as ONNX's NonMaxSuppression tells it: for each picture and class.
 *
 * Shape:   boxes [B, N, 4]; scores [B, C, N]; y [S, 3], I32: picture, class and box of each that is kept, by picture, by class, in
 *          descending order of their scores. *count, where count is not NULL: S.
 */
KILN_API kiln_tensor kiln_nms_by_class(kiln_graph *g, kiln_tensor boxes, kiln_tensor scores,
                                       const kiln_nms_params *params, kiln_tensor *count);

#ifdef __cplusplus
}
#endif
#endif
