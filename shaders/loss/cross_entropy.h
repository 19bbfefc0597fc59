/*
 * cross_entropy.h - softmax cross-entropy of rows of scores x against class numbers.
 *
 *   loss[r] = log(sum over c of exp(x[r, c])) - x[r, target[r]]
 *   dx[r, c] = (softmax(x)[r, c] - (c == target[r])) * dy[r]
 *
 * Row r begins at (r / step) * cols * step + r % step. A target that is no class gives NaN.
 *
 * bindings   cross_entropy       0: x    1: target, I32    2: loss
 *            cross_entropy_grad  0: x    1: target, I32    2: dy    3: dx
 * units      rows
 */
#include "interface.h"

KILN_PARAMS(cross_entropy)
{
    uint rows;
    uint cols;      /* classes */
    uint step;      /* elements from one score of a row to the next */
}
KILN_PARAMS_END;
