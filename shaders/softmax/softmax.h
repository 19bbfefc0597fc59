/*
 * softmax.h - the block of softmax and log-softmax. Row r begins at (r / step) * cols * step + r % step.
 *
 * bindings   0: x    1: y
 * constants  0: 1 for the logarithm
 * units      rows
 */
#include "interface.h"

KILN_PARAMS(softmax)
{
    uint rows;      /* independent distributions */
    uint cols;      /* values in each of them */
    uint step;      /* elements from one value of a row to the next; 1 on the last axis */
}
KILN_PARAMS_END;
