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
    kiln_tensor second;   /* LINEAR's factors; of states their second numbers */
    kiln_tensor y_second; /* where an extreme stands; of states their second numbers */
};

/** Plan it: in one dispatch, or for long rows part by part, on a GPU, with the parts' totals cumulated in between. */
kiln_status kiln_lower_cumulation(kiln_plan *plan, const struct kiln_cumulation *c);

#endif
