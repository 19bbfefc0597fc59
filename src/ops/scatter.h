/*
 * scatter.h - planning a scatter, for the families whose gradients add to places that an index names.
 */
#ifndef KILN_OPS_SCATTER_H
#define KILN_OPS_SCATTER_H

#include "ops/slices.h"
#include "scatter/codes.h"

/**
 * y = base, or zeros; then, in the order of the list, each slice u[o, j] meets y[o, index]. Deterministic: what one place
 * gets it gets in the order of the list.
 *
 * base and y are [outer, rows, inner] of the slices, u is [outer, count, inner]. An index may be negative (from the end), is
 * clamped, and as INT32_MIN names nothing. `distinct` promises that no two of a list name one place.
 */
struct kiln_scatter {
    struct kiln_slices slices;
    uint32_t code; /* scatter/codes.h */
    bool distinct;
    kiln_tensor base; /* KILN_NONE: zeros; may be y */
    kiln_binding u;
    kiln_tensor y;
};

kiln_status kiln_lower_scatter(kiln_plan *plan, const struct kiln_scatter *s);

#endif
