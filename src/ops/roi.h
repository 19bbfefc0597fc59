/* roi.h - what the operators of regions of interest share. */
#ifndef KILN_OPS_ROI_H
#define KILN_OPS_ROI_H

#include <kiln/extend.h>

#include "ops/kernels.h"
#include "roi/roi.h"

/** kiln_roi_params with every default in place, without padding bytes. */
struct kiln_roi {
    double scale;
    int mode; /* KILN_ROI_AVERAGE and its like */
    int size[2], samples, half_pixel, unused;
};

/* Inputs of roi and of roi_grad; outputs of roi, of which AVERAGE has the first, CELLS two. */
enum { KILN_ROI_X, KILN_ROI_BOXES, KILN_ROI_IMAGE };
enum { KILN_ROI_DY, KILN_ROI_PLACE = 3, KILN_ROI_WEIGHT, KILN_ROI_X_LIKE };

extern const kiln_lowering kiln_roi_lowerings[], kiln_roi_grad_lowerings[];

#endif
