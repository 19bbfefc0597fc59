/*
 * roi.h - regions of interest: parts of feature maps, cut out by boxes and brought to one size.
 *
 * Common to all:
 *   x [N, C, H, W] are maps of a real type. boxes, of a real type, lie as (x1, y1, x2, y2); times `scale` they are in cells of the
 *   map. There are two ways to say of which map each one is:
 *     boxes [R, 4] with image [R], I32 or I64. One out of range, KILN_NOWHERE (indexing.h) for instance, is of none: its
 *     region is 0, and no gradient comes from it. So rows that only fill up a list are harmless;
 *     boxes [N, K, 4] with image KILN_NONE: K boxes of each map, R = N K.
 *   A box that is not finite is of no map either.
 *   y [R, C, size[0], size[1]] of x's type: bins down and across. Gradients by x alone: boxes are where something is, not what.
 *   They are gathered, element by element in the order of the boxes, so that equal runs have equal bits.
 */
#ifndef KILN_ROI_H
#define KILN_ROI_H

#include <kiln/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiln_roi_params {
    int size[2];  /* bins down and across; must be given */
    double scale; /* cells of the map to a unit of the boxes, as 1.0 / 16; 0 means 1 */
    /* kiln_roi_align only */
    int samples; /* of a bin along each axis; 0: as many as it has cells, rounded up */
    /* a box's coordinates count from pixels' corners, not their centres: half a cell is taken off, and a box may be less than a cell
     * wide ("aligned") */
    bool half_pixel;
    bool largest; /* not the mean of a bin's samples but the largest of their parts */
} kiln_roi_params;

/**
 * RoIAlign (He et al. 2017): the mean of samples that stand evenly in each bin, of which each is interpolated between four cells.
 *
 *   sample = sum over its four cells of weight * x;   0 where it lies more than a cell outside of the map
 *
 * A box is at least a cell wide and high unless half_pixel is set. With `largest`, the largest weight * x of all cells of all
 * samples, as ONNX has it; the first of equals gets the gradient, of which there is no gradient again.
 * Matches torchvision.ops.roi_align, and ONNX RoiAlign.
 */
KILN_API kiln_tensor kiln_roi_align(kiln_graph *g, kiln_tensor x, kiln_tensor boxes, kiln_tensor image,
                                    const kiln_roi_params *params);

/**
 * RoI pooling (Girshick 2015): the largest value of each bin of whole cells. The corners are rounded, halves away from 0, and belong
 * to the box; bin b of n covers cells floor(b size / n) to ceil((b + 1) size / n) - 1. A bin without cells is 0. NaN is larger
 * than all.
 *
 * *place, where place is not NULL, of y's shape, I32: where the largest stands in its map and channel, the first of equals;
 * KILN_NOWHERE for a bin without cells. Matches torchvision.ops.roi_pool and ONNX MaxRoiPool. Corners beyond 32767 cells are cut.
 * The gradient has no gradient.
 */
KILN_API kiln_tensor kiln_roi_pool(kiln_graph *g, kiln_tensor x, kiln_tensor boxes, kiln_tensor image,
                                   const kiln_roi_params *params, kiln_tensor *place);

#ifdef __cplusplus
}
#endif
#endif
