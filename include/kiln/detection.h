/*
 * detection.h - boxes: formats, differences from anchors, overlap, suppression of those that find the same thing, proposals.
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

/* Formats ------------------------------------------------------------------------------------------------ */

typedef enum kiln_box_format {
    KILN_BOX_CORNERS, /* (x1, y1, x2, y2) */
    KILN_BOX_CENTRES, /* (centre x, centre y, width, height) */
    KILN_BOX_SIDES,   /* (x1, y1, width, height) */
} kiln_box_format;

/** Boxes in another format. Shape: y as boxes. */
KILN_API kiln_tensor kiln_box_convert(kiln_graph *g, kiln_tensor boxes, kiln_box_format from,
                                      kiln_box_format to);

/** Width times height, neither less than 0. Shape: y is boxes without the last axis. */
KILN_API kiln_tensor kiln_box_area(kiln_graph *g, kiln_tensor boxes);

/** Each corner moved into a picture: x to 0 .. width, y to 0 .. height. */
KILN_API kiln_tensor kiln_box_clip(kiln_graph *g, kiln_tensor boxes, double width, double height);
/** Likewise into pictures of sizes that the run computes. Shape: boxes [R.., N, 4]; sizes [R.., 2] or [2]: width and height. */
KILN_API kiln_tensor kiln_box_clip_to(kiln_graph *g, kiln_tensor boxes, kiln_tensor sizes);

/* Differences from anchors --------------------------------------------------------------------------------- */

typedef struct kiln_box_code {
    /* of the differences in x, y, width and height; each 0 means 1. SSD's variances are their inverses: 10, 10, 5, 5 */
    double weights[4];
    double most; /* to decode: the logarithm of a size's ratio is at most this; 0 means log(1000 / 16) */
    kiln_box_format boxes, anchors;
} kiln_box_code;

/**
 * Boxes told by how they differ from anchors (Girshick 2014), with centres (x, y) and sizes (w, h):
 *
 *   ((x - x_a) / w_a, (y - y_a) / h_a, log(w / w_a), log(h / h_a)) * weights
 *
 * Shape:   boxes and anchors broadcast together, [.., 4]. Sizes are above 0.
 */
KILN_API kiln_tensor kiln_box_encode(kiln_graph *g, kiln_tensor boxes, kiln_tensor anchors,
                                     const kiln_box_code *params);
/** The way back: the boxes, of the format params->boxes, that differ from anchors so. */
KILN_API kiln_tensor kiln_box_decode(kiln_graph *g, kiln_tensor deltas, kiln_tensor anchors,
                                     const kiln_box_code *params);

/** How a detector of one stage tells a box, t being what it says, s the logistic function: by centre and size, or the sides. */
typedef enum kiln_yolo {
    KILN_YOLO_EXPONENTIAL, /* centre_a + (s(t) - 1/2) stride, size_a exp(t) (Redmon 2018) */
    KILN_YOLO_SQUARE,      /* centre_a + (2 s(t) - 1) stride, size_a (2 s(t))^2 (YOLOv5) */
    KILN_YOLO_DISTANCES, /* left, top, right and bottom side so many strides away from centre_a (Tian 2019, FCOS) */
} kiln_yolo;

/** Boxes by corners, of x [.., 4] and anchors by corners that broadcast to it, whose centres are those of their cells. */
KILN_API kiln_tensor kiln_yolo_decode(kiln_graph *g, kiln_tensor x, kiln_tensor anchors, double stride,
                                      kiln_yolo kind);

/* Anchors -------------------------------------------------------------------------------------------------- */

#define KILN_ANCHORS 32 /* of a cell, at the most */

typedef struct kiln_anchor_params {
    /* from a row of cells to the next, and from a column; 0 means 1, and as along the rows */
    double stride[2];
    /* of the first cell's centre, in cells: 0, or 0.5 where the map's border is the picture's */
    double offset;
    bool whole;                   /* round halves of sizes to whole numbers, as Faster R-CNN does */
    int count;                    /* anchors of a cell: */
    double size[KILN_ANCHORS][2]; /* width and height */
} kiln_anchor_params;

/** One more anchor a cell. What is more than KILN_ANCHORS makes kiln_anchors fail. */
KILN_API void kiln_anchor_add(kiln_anchor_params *p, double width, double height);
/** One for each ratio height / width, and for it for each size, of the area size^2 (Ren 2015, Faster R-CNN; RetinaNet). */
KILN_API void kiln_anchor_add_ratios(kiln_anchor_params *p, const double *sizes, int size_count,
                                     const double *ratios, int ratio_count);
/**
 * SSD's prior boxes (Liu 2016): the square of size `least`, that of sqrt(least most) where most is above 0, and for each ratio,
 * other than 1, two boxes of the area least^2, one wider and one higher by it.
 */
KILN_API void kiln_anchor_add_priors(kiln_anchor_params *p, double least, double most, const double *ratios,
                                     int ratio_count);

/**
 * The anchors of a map of so many rows and columns of cells, which may be symbols, by corners.
 *
 * Shape:   y [rows * cols * p->count, 4], the cells in rows, the anchors of a cell in their order.
 */
KILN_API kiln_tensor kiln_anchors(kiln_graph *g, int64_t rows, int64_t cols, const kiln_anchor_params *p);

/* Overlap ------------------------------------------------------------------------------------------------ */

/**
 * How well two boxes fit: 1 where they are equal. I is the area of their intersection, U of their union, C and c the area and the
 * diagonal of the smallest box around both, rho the distance of their centres. In gradients alpha is a constant, as in the paper;
 * edges that coincide share theirs by halves.
 */
typedef enum kiln_overlap {
    KILN_IOU,  /* I / U */
    KILN_GIOU, /* I / U - (C - U) / C (Rezatofighi 2019) */
    KILN_DIOU, /* I / U - rho^2 / c^2 (Zheng 2020) */
    KILN_CIOU, /* that - alpha v, v = 4 / pi^2 (atan(w_a / h_a) - atan(w_b / h_b))^2, alpha = v / (1 - I / U + v) */
} kiln_overlap;

/**
 * The overlap of each box of a with each of b.
 *
 * Shape:   a [R.., N, 4], b [R.., M, 4], or either without R..; y [R.., N, M]. Gradient by both, but not of the gradient again.
 */
KILN_API kiln_tensor kiln_box_overlap(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_overlap kind);

/** The overlap of boxes side by side: a, b [R.., 4], y [R..]. */
KILN_API kiln_tensor kiln_box_overlap_each(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_overlap kind);

/** The loss of boxes that should be equal, a scalar: the mean of 1 - their overlaps. */
KILN_API kiln_tensor kiln_box_loss(kiln_graph *g, kiln_tensor a, kiln_tensor b, kiln_overlap kind);

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

/* Proposals ------------------------------------------------------------------------------------------------ */

#define KILN_LEVELS 8 /* of a pyramid of feature maps, at the most */

typedef struct kiln_proposal_params {
    kiln_box_code code; /* how deltas tell a box of an anchor; boxes are corners */
    /* of the pictures, [B, 2] or [2]: width and height, to clip to; KILN_NONE: no clipping */
    kiln_tensor sizes;
    int level_count; /* 0: one level */
    /* anchors of each level, which may be symbols; boxes of different levels do not compete */
    int64_t level[KILN_LEVELS];
    int64_t candidates; /* of a level and picture, before suppression; 0: all */
    int64_t most;       /* of a picture, after it; 0: all */
    double least;       /* boxes with a shorter side are dropped */
    double score;       /* only scores above it count; 0 means any, KILN_ZERO means 0 */
    double overlap;     /* for suppression; 0 means 0.7, KILN_ZERO means 0 */
} kiln_proposal_params;

/**
 * What a region proposal network proposes (Ren 2015): of each level the anchors of the highest scores, moved and resized as deltas
 * say, clipped, without those that are too small, suppressed, the best of them.
 *
 * Shape:   scores [B, N], deltas [B, N, 4], anchors [N, 4] by corners; y [B, M, 4] by corners in descending order of their scores,
 *          M being `most`, or as many as take part; zeros beyond those that are kept. *kept_scores [B, M] and *counts [B], I32, may
 *          be NULL. Gradient by deltas.
 */
KILN_API kiln_tensor kiln_proposals(kiln_graph *g, kiln_tensor scores, kiln_tensor deltas,
                                    kiln_tensor anchors, const kiln_proposal_params *p,
                                    kiln_tensor *kept_scores, kiln_tensor *counts);

#ifdef __cplusplus
}
#endif
#endif
