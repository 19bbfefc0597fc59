/* grid.h - what the operators of grids share. */
#ifndef KILN_OPS_GRID_H
#define KILN_OPS_GRID_H

#include <kiln/extend.h>
#include <kiln/grid.h>

#include "grid/grid.h"
#include "ops/kernels.h"

/** kiln_grid_params without padding bytes. */
struct kiln_grid {
    int32_t mode, padding, align_corners, elements;
};

/** Taps of an axis. */
static inline int64_t kiln_grid_taps(const struct kiln_grid *p)
{
    return p->mode == KILN_GRID_NEAREST ? 1 : p->mode == KILN_GRID_LINEAR ? 2 : 4;
}

extern const kiln_lowering kiln_grid_sample_lowering, kiln_grid_sample_grad_lowering, kiln_grid_taps_lowering;

#endif
