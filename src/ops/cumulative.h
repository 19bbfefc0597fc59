/* cumulative.h - planning a cumulation, for the families that need one. */
#ifndef KILN_OPS_CUMULATIVE_H
#define KILN_OPS_CUMULATIVE_H

#include <kiln/extend.h>

#include "cumulative/codes.h"
#include "ops/rows.h"

/** y = what the elements of each row up to each one combine to (shaders/cumulative/codes.h). */
struct kiln_cumulation {
    uint32_t code, how;
    struct kiln_rows rows;
    kiln_tensor x, y;
    kiln_tensor a;     /* LINEAR's factors */
    kiln_tensor index; /* where an extreme stands; KILN_NONE: not wanted */
};

/** Plan it: in one dispatch, or for long rows part by part, on a GPU, with the parts' totals cumulated in between. */
kiln_status kiln_lower_cumulation(kiln_plan *plan, const struct kiln_cumulation *c);

#endif
